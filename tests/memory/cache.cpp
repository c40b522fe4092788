// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/array.hpp>
#include <hoist/memory.hpp>

#include <atomic>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "support/count_runs.hpp"
#include "support/temp_dir.hpp"

using hoist::Array;
using hoist::Memory;
using support::TempDir;

namespace {

std::atomic<int> calls{0};

int twice(int x) {
  ++calls;
  return 2 * x;
}

int thrice(int x) {
  ++calls;
  return 3 * x;
}

struct Params {
  int depth = 3;
  double rate = 0.5;
};

std::vector<double> train(const Array<double>& data, Params params) {
  ++calls;
  return {data.at(0), params.rate, static_cast<double>(params.depth)};
}

struct Scale {
  double factor;
  double operator()(double x) const {
    ++calls;
    return factor * x;
  }
};

int runs(const auto& work) { return support::growth(calls, work); }

}  // namespace

TEST_CASE("a function runs once for each of its arguments") {
  const TempDir dir;
  const Memory memory(dir.path());
  const auto cached = memory.cache(twice);
  CHECK(runs([&] { CHECK(cached(21) == 42); }) == 1);
  CHECK(runs([&] { CHECK(cached(21) == 42); }) == 0);
  CHECK(runs([&] { CHECK(cached(4) == 8); }) == 1);
  const auto other = memory.cache(thrice);
  CHECK(runs([&] { CHECK(other(21) == 63); }) == 1);
  CHECK(runs([&] { CHECK(cached(21) == 42); }) == 0);
  const Memory again(dir.path());
  CHECK(runs([&] { CHECK(again.cache(twice)(21) == 42); }) == 0);
  CHECK(runs([&] { CHECK(again.cache<twice>()(4) == 8); }) == 0);
  CHECK(runs([&] { CHECK(again.cache<twice>()(5) == 10); }) == 1);
  CHECK(again.stats().hits == 2);
  CHECK(again.stats().misses == 1);
  CHECK(again.stats().stored == 1);
  CHECK(again.stats().bytes > 100);
  CHECK(again.stats().functions.at(cached.name()).hits == 2);
}

TEST_CASE("without a location every call computes") {
  const Memory memory;
  const auto cached = memory.cache(twice);
  CHECK(runs([&] { CHECK(cached(1) + cached(1) == 4); }) == 2);
  CHECK_FALSE(cached.check_call_in_cache(1));
  CHECK(cached.call_and_shelve(2).get() == 4);
  CHECK(cached.call(3).value == 6);
  cached.clear();
  memory.clear();
}

TEST_CASE("arguments, fields and captures make the key") {
  const TempDir dir;
  const Memory memory(dir.path());
  const auto fit = memory.cache(train);
  const auto data = Array<double>::from_vector({1, 2, 3});
  CHECK(runs([&] { CHECK(fit(data, {.depth = 8}) == std::vector<double>{1, 0.5, 8}); }) == 1);
  CHECK(runs([&] { fit(data.copy(), {.depth = 8}); }) == 0);
  CHECK(runs([&] { fit(data, {.depth = 9}); }) == 1);

  CHECK(runs([&] { CHECK(memory.cache(Scale{2})(3.5) == 7); }) == 1);
  CHECK(runs([&] { CHECK(memory.cache(Scale{2})(3.5) == 7); }) == 0);
  CHECK(runs([&] { CHECK(memory.cache(Scale{3})(3.5) == 10.5); }) == 1);

  for (const double factor : {2.0, 3.0, 2.0}) {
    const int shift = static_cast<int>(factor);
    const auto line = [factor, shift](double x) { return factor * x + shift; };
    CHECK(memory.cache(line)(5) == factor * 5 + factor);
  }
}

namespace {

/// Fills a part of the stack, so that the padding between captures differs from call to call.
[[gnu::noinline]] void soil(int with) {
  unsigned char bytes[512];
  std::memset(bytes, with, sizeof bytes);
  asm volatile("" : : "r"(bytes) : "memory");
}

[[gnu::noinline]] double spaced(const Memory& memory, char c, double d, bool b, int i) {
  return memory.cache([c, d, b, i](double x) {
    ++calls;
    return x * d + c + i + (b ? 1 : 0);
  })(2);
}

std::string message_of(const auto& work) {
  try {
    work();
  } catch (const hoist::BadArgument& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("what lies between captures doesn't count") {
  const TempDir dir;
  const Memory memory(dir.path());
  CHECK(runs([&] {
          for (const int with : {0x00, 0x5a, 0xff, 0x13}) {
            soil(with);
            CHECK(spaced(memory, 1, 2.5, true, -3) == 4);
          }
        }) == 1);
  CHECK(runs([&] { CHECK(spaced(memory, 1, 2.5, false, -3) == 3); }) == 1);
}

TEST_CASE("captured pointers and references are refused, and the message says what to do") {
  const TempDir dir;
  const Memory memory(dir.path());
  int here = 0;
  const int* there = &here;
  const auto on_heap = std::make_unique<double>(3);
  const double* far = on_heap.get();
  const char* text = "text";
  for (const std::string& message :
       {message_of([&] { (void)memory.cache([&here](int x) { return x + here; }); }),
        message_of([&] { (void)memory.cache([there](int x) { return x + *there; }); }),
        message_of([&] { (void)memory.cache([far, here](int x) { return x + here + *far; }); }),
        message_of([&] { (void)memory.cache([text](int x) { return x + *text; }); }),
        message_of(
            [&] { (void)memory.cache([&memory](int x) { return memory.cache(twice)(x); }); })}) {
    CHECK(message.find("captures a pointer or a reference") != std::string::npos);
    CHECK(message.find("pass it as an argument") != std::string::npos);
  }
  CHECK(memory.stats().misses == 0);
}

TEST_CASE("a damaged entry is computed anew") {
  const TempDir dir;
  const Memory memory(dir.path());
  const auto cached = memory.cache(twice);
  cached(21);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dir.path())) {
    if (entry.path().extension() == ".hoist") support::spill(entry.path(), "rubbish");
  }
  CHECK(runs([&] { CHECK(cached(21) == 42); }) == 1);
  CHECK(runs([&] { CHECK(cached(21) == 42); }) == 0);
  CHECK(memory.stats().errors == 1);
}

TEST_CASE("exceptions pass through and are not cached") {
  const TempDir dir;
  const Memory memory(dir.path());
  const auto failing = memory.cache([](int x) -> int {
    ++calls;
    if (x < 0) throw std::domain_error("negative");
    return x;
  });
  CHECK(runs([&] {
          CHECK_THROWS_AS(failing(-1), std::domain_error);
          CHECK_THROWS_AS(failing(-1), std::domain_error);
        }) == 2);
}
