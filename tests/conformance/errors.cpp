// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/error.hpp>
#include <hoist/parallel.hpp>
#include <hoist/register_error.hpp>

#include <any>
#include <filesystem>
#include <future>
#include <new>
#include <regex>
#include <stdexcept>
#include <system_error>
#include <typeindex>

#include "conformance/support.hpp"

using namespace hoist;
using conformance::backends;

namespace {

/// Not registered.
struct Stranger : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// All its members are sent.
struct Refused : std::exception {
  int code = 0;
  std::vector<std::string> reasons;
  template <class Ar>
  void serialize(Ar& ar) {
    ar(code, reasons);
  }
  const char* what() const noexcept override { return "refused"; }
};
[[maybe_unused]] const bool registered = register_error<Refused>();

/// Mentioned only where it is thrown and caught.
class Spoilt : public std::runtime_error, PortableError<Spoilt> {
 public:
  explicit Spoilt(const std::string& text = {}, std::vector<int> where = {})
      : std::runtime_error("spoilt: " + text), where_(std::move(where)) {}
  const std::vector<int>& where() const { return where_; }
  template <class Ar>
  void serialize(Ar& ar) {
    ar(where_);
  }

 private:
  std::vector<int> where_;
};

using Thrower = void (*)();
struct Case {
  Thrower raise;
  const std::type_info* type;
};

template <class E>
Case text() {
  return {[] { throw E("the text"); }, &typeid(E)};
}
template <class E>
Case plain() {
  return {[] { throw E(); }, &typeid(E)};
}

const std::vector<Case>& cases() {
  static const std::vector<Case> all{
      text<std::logic_error>(),
      text<std::domain_error>(),
      text<std::invalid_argument>(),
      text<std::length_error>(),
      text<std::out_of_range>(),
      text<std::runtime_error>(),
      text<std::range_error>(),
      text<std::overflow_error>(),
      text<std::underflow_error>(),
      plain<std::exception>(),
      plain<std::bad_exception>(),
      plain<std::bad_alloc>(),
      plain<std::bad_array_new_length>(),
      plain<std::bad_cast>(),
      plain<std::bad_typeid>(),
      plain<std::bad_any_cast>(),
      plain<std::bad_optional_access>(),
      plain<std::bad_variant_access>(),
      plain<std::bad_weak_ptr>(),
      plain<std::bad_function_call>(),
      {[] { throw std::system_error(EPERM, std::generic_category(), "the text"); },
       &typeid(std::system_error)},
      {[] { throw std::future_error(std::future_errc::no_state); }, &typeid(std::future_error)},
      {[] {
         throw std::filesystem::filesystem_error("the text", "/a", "/b",
                                                 std::make_error_code(std::errc::file_exists));
       },
       &typeid(std::filesystem::filesystem_error)},
      {[] { throw std::regex_error(std::regex_constants::error_paren); },
       &typeid(std::regex_error)},
      text<Error>(),
      text<BadArgument>(),
      text<CannotTravel>(),
      text<DamagedData>(),
      text<UnsafeData>(),
      text<LimitExceeded>(),
      text<WrongType>(),
      text<NotFound>(),
      text<TimedOut>(),
      {[] { throw TimedOut("the text", 3, 10); }, &typeid(TimedOut)},
      text<Interrupted>(),
      {[] { throw SystemError("the text", ENOENT); }, &typeid(SystemError)},
      {[] { throw RemoteError("T", "the text", "  at main"); }, &typeid(RemoteError)},
      {[] { throw WorkerDied("the text", 12, 9, 0); }, &typeid(WorkerDied)},
      plain<Refused>()};
  return all;
}

std::string what_of(const std::exception_ptr& error, const std::type_info*& type) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    type = &typeid(e);
    return e.what();
  }
}

int raise_case(int i) {
  cases()[static_cast<std::size_t>(i)].raise();
  return i;
}

[[gnu::noinline]] int innermost_function_of_this_test(int i) {
  if (i == 3) throw Stranger("lost");
  return i + 1;
}
int outer_function_of_this_test(int i) { return innermost_function_of_this_test(i) - 1; }

int raise_at_3_and_8(int i) {
  if (i == 3 || i == 8) throw std::out_of_range("number " + std::to_string(i));
  return i;
}

int fail_with_causes(int i) {
  try {
    try {
      throw Stranger("the root");
    } catch (...) {
      std::throw_with_nested(std::out_of_range("in between"));
    }
  } catch (...) {
    std::throw_with_nested(std::runtime_error("at the top"));
  }
  return i;
}

}  // namespace

TEST_CASE("exceptions of the standard library, of hoist and registered ones arrive as themselves") {
  for (const auto& backend : backends()) {
    const auto outcomes =
        Parallel({.n_jobs = 2, .backend = backend})
            .map_outcomes(std::views::iota(0, static_cast<int>(cases().size())), raise_case);
    for (std::size_t i = 0; i < cases().size(); ++i) {
      const std::type_info* sent = nullptr;
      const std::type_info* arrived = nullptr;
      std::string text;
      try {
        cases()[i].raise();
      } catch (...) {
        text = what_of(std::current_exception(), sent);
      }
      CAPTURE(backend);
      CAPTURE(detail::readable_type(*sent));
      REQUIRE(!outcomes[i].has_value());
      CHECK(what_of(outcomes[i].error(), arrived) == text);
      CHECK(std::type_index(*arrived) == std::type_index(*cases()[i].type));
    }
  }
}

TEST_CASE("the state of an exception arrives") {
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    const Parallel parallel({.n_jobs = 2, .backend = backend});
    try {
      parallel.map(std::vector{1}, [](int) -> int {
        Refused error;
        error.code = 7;
        error.reasons = {"first", "second"};
        throw error;
      });
      FAIL("nothing was thrown");
    } catch (const Refused& error) {
      CHECK(error.code == 7);
      CHECK(error.reasons == std::vector<std::string>{"first", "second"});
    }
    try {
      parallel.map(std::vector{1, 2}, [](int i) -> int {
        try {
          throw Spoilt("the root", {i});
        } catch (...) {
          std::throw_with_nested(Spoilt("at the top", {4, 5}));
        }
      });
      FAIL("nothing was thrown");
    } catch (const Spoilt& top) {
      CHECK(std::string(top.what()) == "spoilt: at the top");
      CHECK(top.where() == std::vector{4, 5});
      CHECK_THROWS_WITH_AS(std::rethrow_if_nested(top), "spoilt: the root", Spoilt);
    }
    // What an inner loop throws.
    try {
      parallel.map(std::vector{1}, [](int) {
        return Parallel({.backend = "sequential", .on_error = OnError::finish})
            .map(std::views::iota(0, 5),
                 [](int j) {
                   if (j % 2 == 1) throw std::domain_error("odd " + std::to_string(j));
                   return j;
                 })
            .size();
      });
      FAIL("nothing was thrown");
    } catch (const LoopErrors& errors) {
      REQUIRE(errors.failures().size() == 2);
      CHECK(errors.failures()[1].index == 3);
      CHECK_THROWS_WITH_AS(std::rethrow_exception(errors.failures()[1].error), "odd 3",
                           std::domain_error);
      CHECK(std::string(errors.what()).find("2 of 5 tasks") == 0);
    }
  }
}

TEST_CASE("an exception of unknown type comes from a process as RemoteError, with its stack") {
  for (const auto& backend : backends()) {
    if (conformance::shares_memory(backend)) continue;
    CAPTURE(backend);
    try {
      Parallel({.n_jobs = 2, .backend = backend})
          .map(std::views::iota(0, 5), outer_function_of_this_test);
      FAIL("nothing was thrown");
    } catch (const RemoteError& error) {
      CHECK(error.type_name().find("Stranger") != std::string::npos);
      CHECK(error.text() == "lost");
      CAPTURE(error.stack());
#if defined(__GNUC__) && !defined(__clang__)
      const auto inner = error.stack().find("innermost_function_of_this_test");
      CHECK(inner != std::string::npos);
      CHECK(inner < error.stack().find('\n'));
      // It had been the whole stack.
      const std::string what = error.what();
      CHECK(what.substr(what.find('\n') + 1) == error.stack().substr(0, error.stack().find('\n')));
#endif
    }
  }
}

TEST_CASE("causes come along, each as its own type") {
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    try {
      Parallel({.n_jobs = 2, .backend = backend}).map(std::vector{1, 2}, fail_with_causes);
      FAIL("nothing was thrown");
    } catch (const std::runtime_error& top) {
      CHECK(std::string(top.what()) == "at the top");
      try {
        std::rethrow_if_nested(top);
        FAIL("no cause");
      } catch (const std::out_of_range& between) {
        CHECK(std::string(between.what()) == "in between");
        try {
          std::rethrow_if_nested(between);
          FAIL("no cause of the cause");
        } catch (const Stranger& root) {
          CHECK(conformance::shares_memory(backend));
          CHECK(std::string(root.what()) == "the root");
        } catch (const RemoteError& root) {
          CHECK(!conformance::shares_memory(backend));
          CHECK(root.text() == "the root");
#if defined(__GNUC__) && !defined(__clang__)
          CAPTURE(root.stack());
          CHECK(root.stack().find("fail_with_causes") != std::string::npos);
#endif
        }
      }
    }
  }
}

TEST_CASE("an exception tells which task threw it, whatever its type") {
  struct Odd {};
  const auto index_of_failure = [](auto&& run) -> std::optional<std::size_t> {
    try {
      run();
    } catch (...) {
      return task_index_of();
    }
    FAIL("nothing was thrown");
    return {};
  };
  CHECK(!task_index_of());
  CHECK(!task_index_of(nullptr));
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    const Parallel parallel({.n_jobs = 2, .backend = backend});
    CHECK(index_of_failure([&] {
            parallel.for_each(std::views::iota(0, 10), [](int i) {
              if (i == 7) throw 42;
            });
          }) == 7);
    CHECK(index_of_failure([&] {
            parallel.for_each(std::views::iota(0, 10), [](int i) {
              if (i == 5) throw Odd();
            });
          }) == 5);
    CHECK(index_of_failure([&] {
            const auto fails = [](int) { throw std::out_of_range("fails"); };
            parallel(delayed([] {})(), delayed([] {})(), delayed(fails)(1));
          }) == 2);
    CHECK(index_of_failure([&] {
            for (const int value : parallel.generator(std::views::iota(0, 6), raise_at_3_and_8)) {
              CHECK(value != 3);
            }
          }) == 3);
    const auto outcomes = parallel.map_outcomes(std::views::iota(0, 10), raise_at_3_and_8);
    CHECK(index_of_failure([&] { outcomes[8].value(); }) == 8);
    // The loop itself, and what is thrown after it, have no index.
    CHECK(!index_of_failure([&] {
      Parallel({.n_jobs = 2, .backend = backend, .on_error = OnError::finish})
          .map(std::views::iota(0, 5), raise_at_3_and_8);
    }));
    CHECK(!index_of_failure([] { throw std::out_of_range("not of a loop"); }));
    // An inner loop's exception has the index of the task around it, an inner one in that task.
    CHECK(index_of_failure([&] {
            parallel.for_each(std::views::iota(0, 6), [](int i) {
              if (i != 4) return;
              try {
                Parallel({.backend = "sequential"}).map(std::views::iota(0, 5), raise_at_3_and_8);
              } catch (const std::out_of_range&) {
                if (task_index_of() != 3) return;
                throw;
              }
            });
          }) == 4);
  }
}

TEST_CASE("thrown values that are no exceptions") {
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    const Parallel parallel({.n_jobs = 2, .backend = backend});
    CHECK_THROWS_AS(parallel.map(std::vector{1}, [](int) -> int { throw 42; }), int);
    CHECK_THROWS_AS(
        parallel.map(std::vector{1}, [](int) -> int { throw std::string("only text"); }),
        std::string);
    struct Odd {};
    if (conformance::shares_memory(backend)) {
      CHECK_THROWS_AS(parallel.map(std::vector{1}, [](int) -> int { throw Odd{}; }), Odd);
    } else {
      CHECK_THROWS_AS(parallel.map(std::vector{1}, [](int) -> int { throw Odd{}; }), RemoteError);
    }
  }
}
