// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/envelope.hpp>
#include <hoist/error.hpp>
#include <hoist/register_error.hpp>

#include <filesystem>
#include <future>
#include <new>
#include <system_error>

#include <doctest/doctest.h>

using namespace hoist;
using namespace hoist::detail;

namespace {

struct Unregistered : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Registered : std::exception {
  int code = 0;
  std::string detail;
  template <class Ar>
  void serialize(Ar& ar) {
    ar(code, detail);
  }
  const char* what() const noexcept override { return detail.c_str(); }
};
[[maybe_unused]] const bool registered = register_error<Registered>();

struct Textual : std::runtime_error {
  explicit Textual(const std::string& text) : std::runtime_error(text) {}
};
[[maybe_unused]] const bool textual = register_error<Textual>("textual");

template <class E>
std::exception_ptr there_and_back(const E& error) {
  return unpack_error(pack_error(std::make_exception_ptr(error)));
}

template <class E>
std::string arrives(const E& error) {
  try {
    std::rethrow_exception(there_and_back(error));
  } catch (const E& e) {
    CHECK(typeid(e) == typeid(error));
    return e.what();
  }
}

}  // namespace

TEST_CASE("exceptions of known types arrive as themselves") {
  CHECK(arrives(std::runtime_error("a")) == "a");
  CHECK(arrives(std::out_of_range("b")) == "b");
  CHECK(arrives(BadArgument("c")) == "c");
  CHECK(arrives(UnsafeData("d")) == "d");
  CHECK(arrives(std::bad_alloc()) == std::string(std::bad_alloc().what()));
  CHECK(arrives(std::logic_error(std::string("e"))) == "e");
  const SystemError system("can't open \"x\"", ENOENT);
  CHECK(arrives(system) == std::string(system.what()));
  const std::system_error standard(std::make_error_code(std::errc::broken_pipe), "pipe");
  CHECK(arrives(standard) == std::string(standard.what()));
  const std::filesystem::filesystem_error file("can't", "one", "two",
                                               std::make_error_code(std::errc::file_exists));
  CHECK(arrives(file) == std::string(file.what()));
  const std::future_error future(std::future_errc::no_state);
  CHECK(arrives(future) == std::string(future.what()));
  Registered mine;
  mine.code = 5;
  mine.detail = std::string(10000, 'x');
  CHECK(arrives(mine) == mine.detail);
  CHECK(arrives(Textual("text")) == "text");
  try {
    std::rethrow_exception(there_and_back(42));
  } catch (int value) {
    CHECK(value == 42);
  }
  try {
    std::rethrow_exception(there_and_back("characters"));
  } catch (const std::string& value) {
    CHECK(value == "characters");
  }
}

TEST_CASE("others arrive as RemoteError with type and text") {
  try {
    std::rethrow_exception(there_and_back(Unregistered("lost")));
    FAIL("nothing thrown");
  } catch (const RemoteError& error) {
    const std::string what = error.what();
    CHECK(what.find("lost") != std::string::npos);
    CHECK(what.find("Unregistered") != std::string::npos);
  }
}

TEST_CASE("causes come along") {
  std::exception_ptr sent;
  try {
    try {
      throw Registered{};
    } catch (...) {
      std::throw_with_nested(std::out_of_range("outer"));
    }
  } catch (...) {
    sent = std::current_exception();
  }
  try {
    std::rethrow_exception(unpack_error(pack_error(sent)));
  } catch (const std::out_of_range& outer) {
    CHECK(std::string(outer.what()) == "outer");
    CHECK_THROWS_AS(std::rethrow_if_nested(outer), Registered);
  }
}

TEST_CASE("an envelope always opens") {
  const auto packed = pack_error(std::make_exception_ptr(std::runtime_error("text")));
  for (std::size_t n = 0; n < packed.size(); ++n) {
    CHECK(unpack_error(std::span(packed).first(n)) != nullptr);
  }
  for (std::size_t i = 0; i < packed.size(); ++i) {
    auto changed = packed;
    changed[i] ^= std::byte{0x55};
    CHECK(unpack_error(changed) != nullptr);
  }
}
