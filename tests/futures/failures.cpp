// SPDX-License-Identifier: BSD-3-Clause
//
// What becomes of calls that fail in every place and way: the error names what happened, and the
// next call of the same executor works.
#include <doctest/doctest.h>
#include <hoist/error.hpp>
#include <hoist/executor.hpp>
#include <hoist/future.hpp>
#include <hoist/pool.hpp>
#include <hoist/register_error.hpp>

#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "futures/support.hpp"
#include "support/child_program.hpp"
#include "support/task_end.hpp"
#include "support/temp_dir.hpp"

using namespace hoist;
using namespace std::chrono_literals;
using namespace futures;
using support::End;
using support::meet;

namespace {

enum class Place : int { encode_argument, decode_argument, run, encode_result, decode_result };
constexpr Place places[] = {Place::encode_argument, Place::decode_argument, Place::run,
                            Place::encode_result, Place::decode_result};
constexpr End ends[] = {End::throws, End::exits,     End::exits_hard,
                        End::aborts, End::segfaults, End::is_killed};

/// An argument, and a result, that fails when it is encoded or decoded.
struct Fragile {
  Place place{};
  End end{};
  bool is_result = false;
  template <class Ar>
  void serialize(Ar& ar) {
    ar(place, end, is_result);
    const Place here = is_result      ? Ar::decoding ? Place::decode_result : Place::encode_result
                       : Ar::decoding ? Place::decode_argument
                                      : Place::encode_argument;
    if (here == place) meet(end);
  }
};

Fragile pass_through(const Fragile& argument) {
  if (argument.place == Place::run) meet(argument.end);
  return {argument.place, argument.end, true};
}

/// Whether this can happen to a call there, and not to the program itself.
bool can_happen(On on, Place place, End end) {
  if (on == On::threads) return place == Place::run && end == End::throws;
  // Forked workers have the arguments as they are.
  if (on == On::fork && (place == Place::encode_argument || place == Place::decode_argument)) {
    return false;
  }
  const bool in_program = place == Place::encode_argument || place == Place::decode_result;
  return !in_program || end == End::throws;
}

void check_error(const std::exception_ptr& error, End end) {
  CAPTURE(text_of(error));
  if (end == End::throws) {
    CHECK(is<std::domain_error>(error));
    return;
  }
  try {
    REQUIRE(error != nullptr);
    std::rethrow_exception(error);
  } catch (const WorkerDied& died) {
    CHECK(died.pid() > 0);
    CHECK(died.pid() != own_pid());
    CHECK(std::string(died.what()).find(std::to_string(died.pid())) != std::string::npos);
    const int signal = end == End::aborts      ? SIGABRT
                       : end == End::segfaults ? SIGSEGV
                       : end == End::is_killed ? SIGKILL
                                               : 0;
    CHECK(died.signal() == signal);
    CHECK(died.exit_code() == (end == End::exits ? 42 : end == End::exits_hard ? 43 : 0));
  } catch (...) {
    FAIL_CHECK("another error");
  }
}

template <class Check>
void for_all_failures(const Check& check) {
  for_each_backend([&](On on) {
    for (const Place place : places) {
      for (const End end : ends) {
        if (!can_happen(on, place, end)) continue;
        CAPTURE(static_cast<int>(place));
        CAPTURE(static_cast<int>(end));
        check(on, Fragile{place, end, false}, end);
      }
    }
  });
}

/// Not registered.
struct Stranger : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct Registered : std::exception {
  int code = 0;
  template <class Ar>
  void serialize(Ar& ar) {
    ar(code);
  }
  const char* what() const noexcept override { return "registered"; }
};
[[maybe_unused]] const bool known = register_error<Registered>();
class Portable : public std::runtime_error, PortableError<Portable> {
 public:
  using std::runtime_error::runtime_error;
};
/// Ends its worker when it is sent.
struct Deadly : std::exception {
  template <class Ar>
  void serialize(Ar& ar) {
    int x = 0;
    ar(x);
    if (!Ar::decoding) std::raise(SIGKILL);
  }
};
[[maybe_unused]] const bool deadly_known = register_error<Deadly>();
/// Can't be rebuilt.
struct Unreadable : std::exception {
  template <class Ar>
  void serialize(Ar& ar) {
    int x = 0;
    ar(x);
    if (Ar::decoding) throw std::domain_error("unreadable");
  }
};
[[maybe_unused]] const bool unreadable_known = register_error<Unreadable>();

int throw_stranger() { throw Stranger("strange"); }
int throw_registered() {
  Registered error;
  error.code = 7;
  throw error;
}
int throw_portable() { throw Portable("portable"); }
int throw_deadly() { throw Deadly(); }
int throw_unreadable() { throw Unreadable(); }
int throw_number() { throw 5; }
int throw_with_cause() {
  try {
    throw std::out_of_range("the cause");
  } catch (...) {
    std::throw_with_nested(std::runtime_error("the effect"));
  }
}

/// Can't leave its process.
struct Bound {
  std::shared_ptr<std::thread> thread;
};
int take_bound(const Bound&) { return 1; }
Bound make_bound() { return {}; }

/// Its destructor ends the worker, after its result was sent.
struct EndsWorker {
  int value = 0;
  bool armed = false;
  EndsWorker() = default;
  explicit EndsWorker(int x) : value(x) {}
  EndsWorker(const EndsWorker&) = default;
  EndsWorker& operator=(const EndsWorker&) = default;
  ~EndsWorker() {
    if (armed) ::_exit(9);
  }
  template <class Ar>
  void serialize(Ar& ar) {
    ar(value);
    armed = Ar::decoding;
  }
};
int value_of(const EndsWorker& x) { return x.value; }

std::size_t size_of(const std::string& text) { return text.size(); }

int spin_ms(int ms, int value) {
  sleep_ms(ms);
  return value;
}

}  // namespace

TEST_CASE("each failure has its error, and the next call works") {
  for_all_failures([](On on, const Fragile& fragile, End end) {
    const auto executor = make_executor(on, {.max_workers = 1});
    const Stopwatch watch;
    // encode_argument may be thrown by submit, or be the call's.
    const auto error =
        error_of([&] { static_cast<void>(executor->submit(pass_through, fragile).result(30s)); });
    check_error(error, end);
    CHECK(executor->submit(square, 3).result(30s) == 9);
    CHECK(watch.seconds() < 20);
  });
}

TEST_CASE("each failure among others is that of its call alone") {
  for_all_failures([](On on, const Fragile& fragile, End end) {
    const auto executor = make_executor(on, {.max_workers = 2});
    std::vector<Future<int>> before;
    std::vector<Future<int>> after;
    for (int i = 0; i < 5; ++i) before.push_back(executor->submit(square, i));
    const auto failing = executor->submit(pass_through, fragile);
    for (int i = 0; i < 5; ++i) after.push_back(executor->submit(square, i));
    check_error(error_of([&] { static_cast<void>(failing.result(30s)); }), end);
    for (int i = 0; i < 5; ++i) {
      CHECK(before[static_cast<std::size_t>(i)].result(30s) == i * i);
      CHECK(after[static_cast<std::size_t>(i)].result(30s) == i * i);
    }
  });
}

TEST_CASE("each failure of a call that a callback has submitted has its error") {
  for_all_failures([](On on, const Fragile& fragile, End end) {
    const auto executor = make_executor(on, {.max_workers = 1});
    Promise<std::exception_ptr> promise;
    Promise<int> next;
    executor->submit(square, 2).add_done_callback([&](const Future<int>&) {
      const auto failing = executor->submit(pass_through, fragile);
      failing.add_done_callback([&](const Future<Fragile>& done) {
        promise.set_value(done.exception());
        executor->submit(square, 3).add_done_callback(
            [&](const Future<int>& last) { next.set_value(last.result()); });
      });
    });
    check_error(promise.future().result(30s), end);
    CHECK(next.future().result(30s) == 9);
  });
}

TEST_CASE("each failure leaves a shutdown that comes at once no chance to hang") {
  for_all_failures([](On on, const Fragile& fragile, End end) {
    Future<Fragile> failing;
    Future<int> good;
    {
      const auto executor = make_executor(on, {.max_workers = 1});
      failing = executor->submit(pass_through, fragile);
      good = executor->submit(square, 3);
      executor->shutdown({.wait = end == End::throws});
    }
    check_error(failing.exception(30s), end);
    CHECK(good.result(30s) == 9);
  });
}

TEST_CASE("what can't travel is told before it is sent, and harms no other call") {
  for_each_backend([](On on) {
    const auto executor = make_executor(on, {.max_workers = 1});
    const auto argument = error_of([&] { executor->submit(take_bound, Bound()).result(); });
    const auto result = error_of([&] { executor->submit(make_bound).result(); });
    CAPTURE(text_of(argument));
    CAPTURE(text_of(result));
    CHECK(is<CannotTravel>(argument) == (on == On::spawn));
    CHECK(is<CannotTravel>(result) == (on != On::threads));
    CHECK(executor->submit(square, 3).result() == 9);
    const auto mapped = error_of([&] {
      for (const int x : executor->map(std::vector<Bound>(3), take_bound)) CHECK(x == 1);
    });
    CHECK(is<CannotTravel>(mapped) == (on == On::spawn));
    CHECK(executor->submit(square, 3).result() == 9);
  });
}

TEST_CASE("exceptions arrive as themselves, or as RemoteError with name and text") {
  for_each_backend([](On on) {
    const auto executor = make_executor(on, {.max_workers = 1});
    const auto strange = executor->submit(throw_stranger).exception();
    if (on == On::threads) {
      CHECK(is<Stranger>(strange));
    } else {
      try {
        std::rethrow_exception(strange);
      } catch (const RemoteError& error) {
        CHECK(error.type_name().find("Stranger") != std::string::npos);
        CHECK(error.text() == "strange");
      } catch (...) {
        FAIL_CHECK("another error");
      }
    }
    try {
      executor->submit(throw_registered).result();
      FAIL_CHECK("no error");
    } catch (const Registered& error) {
      CHECK(error.code == 7);
    }
    CHECK_THROWS_WITH_AS(executor->submit(throw_portable).result(), "portable", Portable);
    const auto number = executor->submit(throw_number).exception();
    CAPTURE(text_of(number));
    CHECK((on == On::threads ? is<int>(number) : number != nullptr));
    try {
      executor->submit(throw_with_cause).result();
      FAIL_CHECK("no error");
    } catch (const std::runtime_error& error) {
      CHECK(std::string(error.what()) == "the effect");
      CHECK_THROWS_WITH_AS(std::rethrow_if_nested(error), "the cause", std::out_of_range);
    }
    CHECK(executor->submit(square, 3).result() == 9);
  });
}

// In Python an exception that can't be rebuilt breaks a pool for good.
TEST_CASE("exceptions that fail on their way are errors of their call alone") {
  for_each_process_backend([](On on) {
    const auto executor = make_executor(on, {.max_workers = 1});
    const auto unreadable = executor->submit(throw_unreadable).exception(30s);
    CAPTURE(text_of(unreadable));
    CHECK(unreadable != nullptr);
    CHECK(executor->submit(square, 3).result(30s) == 9);
    const auto deadly = executor->submit(throw_deadly).exception(30s);
    CAPTURE(text_of(deadly));
    CHECK(is<WorkerDied>(deadly));
    CHECK(executor->submit(square, 3).result(30s) == 9);
  });
}

TEST_CASE("a worker that ends after it has sent the result has made the call") {
  const HardLimit limit;
  ProcessPoolExecutor executor({.max_workers = 1});
  for (int round = 0; round < 5; ++round) {
    const auto call = executor.submit(value_of, EndsWorker(round));
    const auto error = call.exception(30s);
    CAPTURE(text_of(error));
    // The argument may be destroyed before the result is on its way.
    if (error != nullptr) CHECK(is<WorkerDied>(error));
    if (error == nullptr) CHECK(call.result() == round);
    CHECK(executor.submit(square, 3).result(30s) == 9);
  }
}

TEST_CASE("workers that die while much is sent to them are no deadlock") {
  for_each_process_backend([](On on) {
    const auto executor = make_executor(on, {.max_workers = 2});
    const std::string big(std::size_t{20} << 20, 'x');
    std::vector<Future<std::size_t>> sizes;
    std::vector<Future<void>> deaths;
    for (int i = 0; i < 3; ++i) {
      deaths.push_back(executor->submit(meet, End::is_killed));
      sizes.push_back(executor->submit(size_of, big));
    }
    for (const auto& death : deaths) check_error(death.exception(30s), End::is_killed);
    for (const auto& size : sizes) CHECK(size.result(30s) == big.size());
  });
}

TEST_CASE("workers that are killed from outside at any moment: the error always tells") {
  std::mt19937 random(21);
  for_each_process_backend([&](On on) {
    for (const int workers : {1, 2, 4}) {
      CAPTURE(workers);
      const auto executor = make_executor(on, {.max_workers = workers});
      int died = 0;
      for (int round = 0; round < 8; ++round) {
        CAPTURE(round);
        const support::TempDir dir;
        std::vector<Future<int>> pids;
        std::vector<Future<int>> calls;
        for (int i = 0; i < workers; ++i) pids.push_back(executor->submit(own_pid));
        std::vector<int> victims;
        for (const auto& pid : pids) victims.push_back(pid.result(30s));
        for (int i = 0; i < 12; ++i) calls.push_back(executor->submit(spin_ms, 1, i));
        std::this_thread::sleep_for(std::chrono::microseconds(random() % 4000));
        // Forked workers may be gone, and their numbers another's only much later.
        const int victim = victims[random() % victims.size()];
        ::kill(victim, SIGKILL);
        for (int i = 0; i < 12; ++i) {
          const auto& call = calls[static_cast<std::size_t>(i)];
          const auto error = call.exception(30s);
          if (error == nullptr) {
            CHECK(call.result() == i);
            continue;
          }
          ++died;
          try {
            std::rethrow_exception(error);
          } catch (const WorkerDied& death) {
            CHECK(death.signal() == SIGKILL);
          } catch (...) {
            FAIL_CHECK(text_of(error));
          }
        }
        CHECK(executor->submit(square, 3).result(30s) == 9);
      }
      MESSAGE(name_of(on) << ", " << workers << " workers: calls that died: " << died);
    }
  });
}

TEST_CASE("workers that are killed from outside at any moment: retries make the results right") {
  std::mt19937 random(22);
  for_each_process_backend([&](On on) {
    for (const int workers : {1, 2, 4}) {
      CAPTURE(workers);
      const auto executor = make_executor(on, {.max_workers = workers, .retries = 3});
      for (int round = 0; round < 6; ++round) {
        std::vector<Future<int>> calls;
        const int victim = executor->submit(own_pid).result(30s);
        for (int i = 0; i < 12; ++i) calls.push_back(executor->submit(spin_ms, 1, i));
        std::this_thread::sleep_for(std::chrono::microseconds(random() % 4000));
        ::kill(victim, SIGKILL);
        for (int i = 0; i < 12; ++i) {
          CHECK(calls[static_cast<std::size_t>(i)].result(30s) == i);
        }
      }
    }
  });
}

TEST_CASE("workers that end themselves, one after the other, are replaced without end") {
  for_each_process_backend([](On on) {
    const auto executor = make_executor(on, {.max_workers = 2});
    std::vector<Future<void>> calls;
    for (int i = 0; i < 30; ++i) calls.push_back(executor->submit(meet, ends[1 + i % 5]));
    for (int i = 0; i < 30; ++i) {
      check_error(calls[static_cast<std::size_t>(i)].exception(30s), ends[1 + i % 5]);
    }
    CHECK(executor->submit(square, 3).result(30s) == 9);
  });
}

TEST_CASE("a crash in a chunk of map is that of the chunk") {
  for_each_process_backend([](On on) {
    const auto executor = make_executor(on, {.max_workers = 2});
    const auto crash_at_10 = [](int x) {
      if (x == 10) std::raise(SIGKILL);
      return x;
    };
    std::vector<int> seen;
    const auto loop = [&] {
      for (const int x : executor->map(std::views::iota(0, 40), crash_at_10, {.chunksize = 4})) {
        seen.push_back(x);
      }
    };
    check_error(error_of(loop), End::is_killed);
    CHECK(seen == std::vector{0, 1, 2, 3, 4, 5, 6, 7});
    CHECK(executor->submit(square, 3).result(30s) == 9);
  });
}
