// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/hash.hpp>
#include <hoist/random.hpp>

#include <random>

using namespace hoist;

static_assert(std::uniform_random_bit_generator<Philox4x64>);
static_assert(std::uniform_random_bit_generator<Philox4x32>);

TEST_CASE("the engines are those of C++26") {
  // [rand.predef]: the 10000th number of a default-constructed engine.
  Philox4x64 wide;
  Philox4x32 narrow;
  wide.discard(9999);
  narrow.discard(9999);
  CHECK(wide() == 3409172418970261260);
  CHECK(narrow() == 1955073260);
  constexpr auto first = [] { return Philox4x64(1)(); }();
  CHECK(first == Philox4x64(1)());
  CHECK(Philox4x64(Philox4x64::default_seed) == Philox4x64());
}

TEST_CASE("a discard is as many calls") {
  for (int before = 0; before < 9; ++before) {
    for (int discarded = 0; discarded < 20; ++discarded) {
      Philox4x32 called(3);
      for (int i = 0; i < before; ++i) called();
      Philox4x32 leapt = called;
      for (int i = 0; i < discarded; ++i) called();
      leapt.discard(static_cast<unsigned long long>(discarded));
      CHECK(called == leapt);
      CHECK(called() == leapt());
    }
  }
}

TEST_CASE("a counter is reached at once, and carries over to its higher words") {
  Philox4x32 called(5);
  called.set_counter({0, 0, 1, 0xFFFFFFFF});
  for (int i = 0; i < 4; ++i) called();
  Philox4x32 set(5);
  set.set_counter({0, 0, 2, 0});
  CHECK(called() == set());
  Philox4x64 leapt(5);
  leapt.discard(4'000'000'000'000);
  Philox4x64 counted(5);
  counted.set_counter({0, 0, 0, 1'000'000'000'000});
  CHECK(leapt() == counted());
}

TEST_CASE("an engine is a value, and a generator for distributions") {
  Philox4x64 random(1);
  Philox4x64 same(1);
  CHECK(hash(random) == hash(same));
  random();
  CHECK(hash(random) != hash(same));
  double sum = 0;
  for (int i = 0; i < 100'000; ++i) sum += std::uniform_real_distribution<>()(random);
  CHECK(sum / 100'000 == doctest::Approx(0.5).epsilon(0.01));
}
