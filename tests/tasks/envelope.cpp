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

/// Adds to the text that it is given, and has another member.
class ParseError : public std::runtime_error, PortableError<ParseError> {
 public:
  explicit ParseError(const std::string& text = {}, int line = 0)
      : std::runtime_error("parse: " + text), line_(line) {}
  int line() const { return line_; }

 private:
  friend struct hoist::Access;
  template <class Ar>
  void serialize(Ar& ar) {
    ar(line_);
  }
  int line_ = 0;
};

struct JustText : std::logic_error, PortableError<JustText> {
  explicit JustText(const std::string& text) : std::logic_error("just " + text) {}
};

struct Fixed : std::exception, PortableError<Fixed> {
  const char* what() const noexcept override { return "always this"; }
};

/// Not derived from std::exception.
struct Cell : PortableError<Cell> {
  int row = 0;
  int column = 0;
  template <class Ar>
  void serialize(Ar& ar) {
    ar(row, column);
  }
};

struct Pair {
  int row;
  std::string column;
};
[[maybe_unused]] const bool aggregate = register_error<Pair>();

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

TEST_CASE("how far a loop came within its time travels with the error") {
  const auto packed = pack_error(std::make_exception_ptr(TimedOut("too slow", 3, 10)));
  try {
    std::rethrow_exception(unpack_error(packed));
  } catch (const TimedOut& error) {
    CHECK(std::string(error.what()) == "too slow");
    CHECK(error.tasks_done() == 3);
    CHECK(error.tasks() == 10);
    CHECK_THROWS_WITH_AS(error.results<int>(), doctest::Contains("another process"), BadArgument);
  }
}

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
  const auto missing = std::make_error_code(std::errc::no_such_file_or_directory);
  const std::filesystem::filesystem_error odd("can't", "/a: No such file or directory", missing);
  CHECK(arrives(odd) == std::string(odd.what()));
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

TEST_CASE("portable errors arrive as themselves, with text and state") {
  CHECK(arrives(ParseError("no brace", 7)) == "parse: no brace");
  CHECK(arrives(JustText("so")) == "just so");
  CHECK(arrives(Fixed()) == "always this");
  try {
    std::rethrow_exception(there_and_back(ParseError("no brace", 7)));
  } catch (const ParseError& error) {
    CHECK(error.line() == 7);
  }
  Cell cell;
  cell.row = 3;
  cell.column = 4;
  try {
    std::rethrow_exception(there_and_back(cell));
  } catch (const Cell& there) {
    CHECK(there.row == 3);
    CHECK(there.column == 4);
  }
  try {
    std::rethrow_exception(there_and_back(Pair{5, std::string(5000, 'c')}));
  } catch (const Pair& there) {
    CHECK(there.row == 5);
    CHECK(there.column.size() == 5000);
  }
}

TEST_CASE("portable errors as causes of each other") {
  std::exception_ptr sent;
  try {
    try {
      throw ParseError("inner", 1);
    } catch (...) {
      std::throw_with_nested(ParseError("outer", 2));
    }
  } catch (...) {
    sent = std::current_exception();
  }
  try {
    std::rethrow_exception(unpack_error(pack_error(sent)));
  } catch (const ParseError& outer) {
    CHECK(outer.line() == 2);
    CHECK(std::string(outer.what()) == "parse: outer");
    try {
      std::rethrow_if_nested(outer);
      FAIL("no cause");
    } catch (const ParseError& inner) {
      CHECK(inner.line() == 1);
    }
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

TEST_CASE("an error with a code of another category arrives as RemoteError") {
  // It arrived as a WrongType of hoist's, without what it said.
  struct Category : std::error_category {
    const char* name() const noexcept override { return "mine"; }
    std::string message(int) const override { return "a message"; }
  };
  const Category category;
  CHECK_THROWS_WITH_AS(
      std::rethrow_exception(there_and_back(std::system_error(1, category, "the text"))),
      doctest::Contains("the text: a message"), RemoteError);
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
