// SPDX-License-Identifier: BSD-3-Clause
#include "memory/identity.hpp"

#include <dlfcn.h>
#include <doctest/doctest.h>
#include <hoist/memory.hpp>

#include <cmath>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "support/temp_dir.hpp"

using hoist::ignored;
using hoist::Memory;
using support::TempDir;

namespace {

int local(int x) { return x + 1000; }

namespace one {
int same_name(int x) { return x + 1; }
}  // namespace one
namespace two {
int same_name(int x) { return x + 2; }
}  // namespace two

int overloaded(int x) { return x; }
double overloaded(double x) { return x / 2; }

template <int n>
int instance(int x) {
  return x + n;
}

struct Model {
  int bias = 0;
  int predict(int x) const { return x + bias; }
  int quiet(int x) const noexcept { return x - bias; }
  static int shared(int x) { return x * 3; }
  virtual ~Model() = default;

  template <class Ar>
  void serialize(Ar& ar) {
    ar(bias);
  }
};
struct Virtual : Model {
  virtual int first(int x) const { return x; }
  virtual int second(int x) const { return -x; }
};

int length(std::string_view text) { return static_cast<int>(text.size()); }
int c_length(const char* text) {
  return text == nullptr ? -1 : static_cast<int>(std::string_view(text).size());
}
double sum(std::span<const double> values) {
  double total = 0;
  for (const double value : values) total += value;
  return total;
}
double widened(double x) { return x; }
int counted(int x, int& calls, ignored<std::string> note) {
  ++calls;
  return x + static_cast<int>(note.value.size()) * 0;
}
int moved_in(std::vector<int> values, std::vector<int>&& more) {
  return static_cast<int>(values.size() + more.size());
}

}  // namespace

static int plain_static(int x) { return x + 1001; }

TEST_CASE("functions of equal name never share entries") {
  const TempDir dir;
  const Memory memory(dir.path());
  // The version is pinned, so only their names distinguish them.
  const hoist::CacheOptions pinned{.version = "1"};
  const auto check = [&](auto f, auto argument) {
    const auto cached = memory.cache(f, pinned);
    CHECK_FALSE(cached.check_call_in_cache(argument));
    CHECK(cached(argument) == f(argument));
    CHECK(cached(argument) == f(argument));
  };
  check(local, 1);
  check(identity_twin_local(), 1);
  check(plain_static, 1);
  check(identity_twin_static(), 1);
  check(one::same_name, 1);
  check(two::same_name, 1);
  check(static_cast<int (*)(int)>(overloaded), 1);
  check(static_cast<double (*)(double)>(overloaded), 1.0);
  check(instance<1>, 1);
  check(instance<2>, 1);
  check([](int x) { return x + 10; }, 1);
  check([](int x) { return x + 20; }, 1);
  const auto lambda = memory.cache([](int y) { return y + 30; }, pinned);
  CHECK(lambda(1) == 31);
  CHECK(identity_twin_lambda(memory, 1) == 2003);
  CHECK(lambda(1) == 31);
  CHECK(memory.stats().misses == 14);
}

TEST_CASE("names that are given are the whole identity") {
  const TempDir dir;
  const Memory memory(dir.path());
  CHECK(memory.cache(one::same_name, {.name = "f", .version = "1"})(5) == 6);
  CHECK(memory.cache(two::same_name, {.name = "f", .version = "1"})(5) == 6);
  CHECK(memory.cache(two::same_name, {.name = "f", .version = "2"})(5) == 7);
  CHECK(memory.cache(two::same_name, {.name = "f"})(5) == 7);
  // A name that is impossible for a directory.
  std::string odd = "../../";
  odd.append(5000, 'x');
  odd += "/\n\xff";
  CHECK(memory.cache(two::same_name, {.name = odd, .version = odd})(5) == 7);
  CHECK(memory.cache(two::same_name, {.name = odd, .version = odd}).check_call_in_cache(5));
}

TEST_CASE("member functions take their object as an argument") {
  const TempDir dir;
  const Memory memory(dir.path());
  const auto predict = memory.cache(&Model::predict);
  Model a, b;
  b.bias = 5;
  CHECK(predict(a, 1) == 1);
  CHECK(predict(b, 1) == 6);
  CHECK(predict(b, 1) == 6);
  CHECK(memory.stats().misses == 2);
  CHECK(memory.cache<&Model::predict>()(b, 1) == 6);
  CHECK(memory.stats().misses == 2);
  CHECK(memory.cache(&Model::quiet)(b, 1) == -4);
  CHECK(memory.cache(&Model::shared)(4) == 12);
  CHECK_THROWS_AS(memory.cache(&Virtual::first), hoist::BadArgument);
  const Virtual object;
  CHECK(memory.cache(&Virtual::first, {.name = "first", .version = "1"})(object, 3) == 3);
  CHECK(memory.cache(&Virtual::second, {.name = "second", .version = "1"})(object, 3) == -3);
}

TEST_CASE("functions of shared libraries") {
  const TempDir dir;
  const Memory memory(dir.path());
  auto* const root = reinterpret_cast<double (*)(double)>(::dlsym(RTLD_DEFAULT, "cbrt"));
  const bool found = root != nullptr;
  REQUIRE(found);
  CHECK(memory.cache(root)(27.0) == doctest::Approx(3));
  CHECK(memory.cache(root)(27.0) == doctest::Approx(3));
  CHECK(memory.stats().hits == 1);
}

TEST_CASE("arguments count by content, as the parameters' types") {
  const TempDir dir;
  const Memory memory(dir.path());
  const auto texts = memory.cache(length);
  CHECK(texts("four") == 4);
  CHECK(texts(std::string("four")) == 4);
  CHECK(texts(std::string_view("fourth").substr(0, 4)) == 4);
  const auto c_texts = memory.cache(c_length);
  CHECK(c_texts(std::string("four").c_str()) == 4);
  CHECK(c_texts("four") == 4);
  CHECK(c_texts(nullptr) == -1);
  CHECK(c_texts("") == 0);
  const auto sums = memory.cache(sum);
  const std::vector<double> values{1, 2, 3};
  const double array[] = {1, 2, 3};
  CHECK(sums(values) == 6);
  CHECK(sums(array) == 6);
  const auto wide = memory.cache(widened);
  wide(1);
  wide(1.0F);
  wide(-0.0);
  wide(0.0);
  wide(std::nan("1"));
  wide(std::nan("2"));
  CHECK(memory.stats().misses == 10);
  CHECK(memory.cache(moved_in)({1, 2}, {3}) == 3);
  CHECK(memory.cache(moved_in)({1, 2}, {3}) == 3);
  CHECK(memory.cache(moved_in)({1}, {2, 3}) == 3);
}

TEST_CASE("parameters are left out by position or by type") {
  const TempDir dir;
  const Memory memory(dir.path());
  // A non-const reference can't be part of a key, but it may be an ignored parameter.
  CHECK_THROWS_AS(memory.cache(counted), hoist::BadArgument);
  int calls = 0;
  const auto cached = memory.cache(counted, {.ignore = {1}});
  cached(1, calls, "a note");
  cached(1, calls, "another");
  cached(2, calls, "another");
  CHECK(calls == 2);
  // The set of ignored parameters is part of the key.
  memory.cache(counted, {.ignore = {0, 1}})(1, calls, "");
  memory.cache(counted, {.ignore = {0, 1}})(77, calls, "");
  CHECK(calls == 3);
  CHECK_THROWS_AS(memory.cache(counted, {.ignore = {3}}), hoist::BadArgument);
  CHECK_THROWS_AS(memory.cache(counted, {.ignore = {-1}}), hoist::BadArgument);
}

TEST_CASE("explain says what the fingerprint covers and why a call misses") {
  const auto report = hoist::explain(one::same_name);
  CHECK_FALSE(report.text().empty());
  CHECK_FALSE(report.nodes.empty());
  const TempDir dir;
  const Memory memory(dir.path());
  const auto first = memory.cache(one::same_name, {.name = "f", .version = "1"});
  CHECK(first.explain_miss(1).find("no result") != std::string::npos);
  first(1);
  CHECK(first.explain_miss(1).find("would be answered") != std::string::npos);
  CHECK(first.explain_miss(2).find("none for these arguments") != std::string::npos);
  const auto second = memory.cache(one::same_name, {.name = "f", .version = "2"});
  CHECK(second.explain_miss(1).find("changed") != std::string::npos);
  CHECK(second.explain_miss(2).find("other versions") != std::string::npos);
  CHECK(Memory().cache(one::same_name).explain_miss(1).find("no location") != std::string::npos);
}
