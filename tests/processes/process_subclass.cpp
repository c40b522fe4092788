// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/lock.hpp>
#include <hoist/process.hpp>
#include <hoist/shared.hpp>

#include <unistd.h>

#include <fstream>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/processes.hpp"

using namespace hoist;
using namespace std::chrono_literals;
using support::all_methods;

namespace {

struct Reader : ProcessBase<Reader> {
  std::vector<std::string> lines;
  int n = 0;
  SharedValue<int> result;

  void run() {
    for (const std::string& line : lines) n += static_cast<int>(line.size());
    result.set(n);
  }
};

struct WithoutFields : ProcessBase<WithoutFields> {
  void run() { std::exit(3); }
};

struct Nested {
  double x = 0;
  std::vector<int> list;
};
struct Composed : ProcessBase<Composed> {
  Nested nested;
  std::pair<int, std::string> pair;
  SharedValue<double> result;
  void run() {
    result.set(nested.x + nested.list.back() + pair.first +
               static_cast<double>(pair.second.size()));
  }
};

/// Not an aggregate: says itself what travels.
class Private : public ProcessBase<Private> {
 public:
  Private() = default;
  explicit Private(int secret) : secret_(secret) {}
  template <class Ar>
  void serialize(Ar& ar) {
    ar(secret_, result_);
  }
  void run() { result_.set(secret_); }
  int result() const { return result_.get(); }

 private:
  int secret_ = 0;
  SharedValue<int> result_;
};

/// What this holds can't travel.
struct Inheriting : ProcessBase<Inheriting> {
  std::function<int()> function;
  SharedValue<int> result;
  void run() { result.set(function()); }
};

struct Introspective : ProcessBase<Introspective> {
  SharedArray<int> seen{5};
  void run() {
    seen[0] = name() == current_process().name();
    seen[1] = pid() == ::getpid();
    seen[2] = is_alive();
    try {
      join();
    } catch (const BadArgument&) {
      seen[3] = 1;
    }
    try {
      start();
    } catch (const BadArgument&) {
      seen[4] = 1;
    }
  }
};

struct Thrower : ProcessBase<Thrower> {
  void run() { throw std::runtime_error("on purpose"); }
};

/// The first field is a handle of a process, too, and so is the second.
struct Chain : ProcessBase<Chain> {
  Reader reader;
  WithoutFields other;
  void run() {
    reader.start();
    other.start();
    reader.join();
    other.join();
    std::exit(reader.exitcode() == 0 && other.exitcode() == 3 ? 0 : 1);
  }
};

static_assert(std::is_empty_v<ProcessBase<Reader>>);
static_assert(field_count<Reader> == 3 && field_count<WithoutFields> == 0);
static_assert(!std::is_copy_constructible_v<Reader> && std::is_move_constructible_v<Reader>);
static_assert(!std::is_copy_constructible_v<Process> && std::is_move_assignable_v<Process>);

struct Further : Reader {
  int more = 0;
};
static_assert(!Aggregate<Further>);

}  // namespace

TEST_CASE("an object of a subclass runs with its fields, and keeps what it had here") {
  for (const StartMethod method : all_methods) {
    CAPTURE(static_cast<int>(method));
    Reader reader;
    reader.set_options({.name = "reader", .start_method = method});
    reader.lines = {"one", "three"};
    reader.n = 100;
    CHECK(reader.name() == "reader");
    CHECK_FALSE(reader.is_alive());
    CHECK_THROWS_AS(reader.join(), BadArgument);
    reader.start();
    CHECK(reader.pid() > 0);
    CHECK_THROWS_AS(reader.start(), BadArgument);
    reader.join();
    CHECK(reader.exitcode() == 0);
    CHECK(reader.result.get() == 108);
    CHECK(reader.n == 100);
    reader.close();
    CHECK_THROWS_AS((void)reader.exitcode(), BadArgument);
  }
}

TEST_CASE("subclasses may have no fields, structs, or a serialize function") {
  for (const StartMethod method : all_methods) {
    CAPTURE(static_cast<int>(method));
    WithoutFields without;
    without.set_options({.start_method = method});
    without.start();
    without.join();
    CHECK(without.exitcode() == 3);

    Composed composed;
    composed.set_options({.start_method = method});
    composed.nested = {0.5, {1, 2}};
    composed.pair = {3, "four"};
    composed.start();
    composed.join();
    CHECK(composed.result.get() == 9.5);

    Private object(42);
    object.set_options({.start_method = method});
    object.start();
    object.join();
    CHECK(object.result() == 42);
  }
}

TEST_CASE("a subclass with what can't travel is started by fork only") {
  Inheriting process;
  int captured = 6;
  process.function = [&captured] { return captured; };
  CHECK_THROWS_AS(process.start(), CannotTravel);
  process.set_options({.start_method = StartMethod::fork});
  process.start();
  process.join();
  CHECK(process.result.get() == 6);
}

TEST_CASE("within run() the object stands for the process itself") {
  for (const StartMethod method : all_methods) {
    CAPTURE(static_cast<int>(method));
    Introspective process;
    process.set_options({.start_method = method});
    process.start();
    process.join();
    CHECK(process.exitcode() == 0);
    for (int i = 0; i < 5; ++i) {
      CAPTURE(i);
      CHECK(process.seen[static_cast<std::size_t>(i)] == 1);
    }
  }
}

TEST_CASE("an exception that leaves run() is exit code 1") {
  for (const StartMethod method : all_methods) {
    Thrower thrower;
    thrower.set_options({.start_method = method});
    thrower.start();
    thrower.join();
    CHECK(thrower.exitcode() == 1);
  }
}

TEST_CASE("objects of a subclass are moved with their process") {
  for (const StartMethod method : all_methods) {
    CAPTURE(static_cast<int>(method));
    std::vector<Reader> readers;
    for (int i = 0; i < 5; ++i) {
      Reader reader;
      reader.set_options({.start_method = method});
      reader.n = i;
      reader.start();
      readers.push_back(std::move(reader));
      CHECK(reader.pid() == 0);  // NOLINT: what is moved from is as new
    }
    for (int i = 0; i < 5; ++i) {
      Reader& reader = readers[static_cast<std::size_t>(i)];
      CHECK(reader.pid() > 0);
      reader.join();
      CHECK(reader.exitcode() == 0);
      CHECK(reader.result.get() == i);
    }
  }
}

TEST_CASE("a process that is a field of another is one of its own") {
  for (const StartMethod method : all_methods) {
    CAPTURE(static_cast<int>(method));
    Chain chain;
    chain.set_options({.start_method = method});
    chain.start();
    CHECK_FALSE(chain.reader.is_alive());
    CHECK(chain.reader.pid() == 0);
    chain.join();
    CHECK(chain.exitcode() == 0);
  }
}
