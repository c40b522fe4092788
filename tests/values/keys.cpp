// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/hash.hpp>
#include <hoist/memory.hpp>
#include <hoist/value.hpp>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "support/temp_dir.hpp"

// Floats count by their bits. `-0.0` once had the key of `0.0`: a cached atan2(-0.0, -1) was +pi.

namespace {

using hoist::hash;

struct Point {
  double x;
  float y, z;
};
struct Gapped {
  char kind;
  double x;
};
/// The schema of Point, with other gaps in memory.
struct Aligned {
  alignas(32) double x;
  float y;
  float z;
};
struct Extended {
  long double x;
};

/// Each container of a and of b has a digest of its own, short and long.
template <class T>
void differ(const T& a, const T& b) {
  CHECK(hash(a) != hash(b));
  CHECK(hash(a) == hash(T(a)));
  for (const std::size_t n : {std::size_t{1}, std::size_t{3000}}) {
    const std::vector<T> first(n, a);
    std::vector<T> second(n, a);
    second.back() = b;
    CHECK(hash(first) != hash(second));
    CHECK(hash(first) == hash(std::vector<T>(n, a)));
    CHECK(hash(std::list<T>(n, a)) == hash(first));
    CHECK(hash(std::span<const T>(first)) == hash(first));
    CHECK(hash(std::deque<T>(second.begin(), second.end())) == hash(second));
  }
  CHECK(hash(std::array<T, 2>{a, a}) != hash(std::array<T, 2>{a, b}));
  CHECK(hash(std::optional<T>(a)) != hash(std::optional<T>(b)));
  CHECK(hash(std::map<int, T>{{1, a}}) != hash(std::map<int, T>{{1, b}}));
}

template <class T, class Bits>
T of_bits(Bits bits) {
  return std::bit_cast<T>(bits);
}

/// 1.5L with other bytes in its padding.
long double padded(int filler) {
  long double number;
  std::memset(&number, filler, sizeof number);
  const long double value = 1.5L;
  std::memcpy(&number, &value, 10);
  return number;
}

double direction(double y, double x) { return std::atan2(y, x); }

}  // namespace

TEST_CASE("negative zeros and the bits of NaN count") {
  differ(0.0, -0.0);
  differ(0.0F, -0.0F);
  differ(0.0L, -0.0L);
  differ(std::complex<double>(0, 0), std::complex<double>(0, -0.0));
  differ(std::complex<float>(0, 0), std::complex<float>(-0.0F, 0));
  differ(of_bits<double>(0x7FF8000000000001), of_bits<double>(0x7FF8000000000002));
  differ(of_bits<double>(0x7FF8000000000000), of_bits<double>(0xFFF8000000000000));
  differ(of_bits<float>(0x7FC00001U), of_bits<float>(0x7FC00002U));
  differ(Point{0, 1, 2}, Point{-0.0, 1, 2});
  differ(Point{0, 1, 0}, Point{0, 1, -0.0F});
  differ(Gapped{'a', 0}, Gapped{'a', -0.0});
  differ(Extended{0}, Extended{-0.0L});
#if defined(HOIST_HAS_FLOAT16)
  differ(static_cast<_Float16>(0.0F), static_cast<_Float16>(-0.0F));
#endif
  CHECK(hash(std::numeric_limits<double>::denorm_min()) != hash(0.0));
  const auto ones = hoist::Array<double>({600});
  auto others = ones.copy();
  others(599) = -0.0;
  CHECK(hash(ones) != hash(others));
  CHECK(hash(hoist::Value(0.0)) != hash(hoist::Value(-0.0)));
  CHECK(hash(hoist::Value(ones)) != hash(hoist::Value(others)));
}

TEST_CASE("padding never counts, nor does the layout in memory") {
  if (std::numeric_limits<long double>::digits == 64) {
    CHECK(hash(padded(0)) == hash(padded(0xAA)));
    CHECK(hash(std::vector<long double>(500, padded(0))) ==
          hash(std::vector<long double>(500, padded(0xAA))));
    CHECK(hash(std::complex<long double>(padded(1), padded(2))) ==
          hash(std::complex<long double>(padded(3), padded(4))));
  }
  Gapped one, two;
  std::memset(&one, 1, sizeof one);
  std::memset(&two, 2, sizeof two);
  one.kind = two.kind = 'k';
  one.x = two.x = 4;
  CHECK(hash(std::vector<Gapped>(500, one)) == hash(std::vector<Gapped>(500, two)));
  CHECK(hash(std::vector<Point>(1000, {1, 2, 3})) == hash(std::vector<Aligned>(1000, {1, 2, 3})));
  CHECK(hash(std::array<Point, 300>{}) == hash(std::array<Aligned, 300>{}));
  CHECK(hash(std::list<Point>(1000)) == hash(std::vector<Aligned>(1000)));
}

TEST_CASE("a cached call tells zeros apart") {
  const support::TempDir dir;
  const hoist::Memory memory(dir.path());
  const auto cached = memory.cache(direction);
  CHECK(cached(0.0, -1) > 3);
  CHECK(cached(-0.0, -1) < -3);
  CHECK(cached(0.0, -1) > 3);
  CHECK(memory.stats().hits == 1);
}

namespace {

/// A graph whose edges have names.
struct Place {
  int number = 0;
  std::unordered_map<std::string, std::shared_ptr<Place>> ways;
};
struct Chain {
  std::unordered_map<int, std::unique_ptr<Chain>> next;
};

}  // namespace

TEST_CASE("objects that lead back to themselves through an unordered container have a key") {
  const auto loop = [](int number) {
    auto place = std::make_shared<Place>(Place{number, {}});
    place->ways["on"] = std::make_shared<Place>(Place{2, {{"back", place}, {"on", nullptr}}});
    return place;
  };
  const auto one = loop(1), same = loop(1), other = loop(3);
  CHECK(hash(one) == hash(same));
  CHECK(hash(one) != hash(other));
  for (const auto& place : {one, same, other}) place->ways.clear();  // frees the cycle
}

TEST_CASE("objects that nest too deep in unordered containers are refused") {
  Chain chain;
  std::vector<Chain*> all{&chain};
  for (int i = 0; i < 2000; ++i) {
    auto& next = all.back()->next[0];
    next = std::make_unique<Chain>();
    all.push_back(next.get());
  }
  CHECK_THROWS_AS((void)hash(chain), hoist::LimitExceeded);
}
