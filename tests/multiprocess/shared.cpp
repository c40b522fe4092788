// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/parallel.hpp>
#include <hoist/shared.hpp>

#include <sys/resource.h>

#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "support/child.hpp"

using namespace hoist;
using namespace std::chrono_literals;

namespace {

const std::vector<std::string> all_backends = {"sequential", "threads", "fork", "spawn"};

struct Point {
  double x = 1;
  double y = 2;
  double z = 3;
};

struct State {
  SharedValue<long> atomic;
  SharedValue<double> real;
  SharedValue<Point> point;
  SharedArray<int> numbers;
};

int work(const State& state, int i) {
  for (int k = 0; k < 500; ++k) {
    state.atomic.fetch_add(1);
    state.real += 0.5;
    const auto point = state.point.lock();
    point->x += 1;
    point->y -= 1;
    const auto numbers = state.numbers.lock();
    for (int& number : numbers) ++number;
  }
  return i;
}

}  // namespace

TEST_CASE("what tasks do to shared values and arrays is there for all") {
  for (const std::string& backend : all_backends) {
    CAPTURE(backend);
    const State state{SharedValue<long>(5), SharedValue(1.0), SharedValue<Point>(),
                      SharedArray<int>(7)};
    const Parallel parallel({.n_jobs = 2, .backend = backend});
    std::vector<decltype(delayed(work)(state, 1))> calls;
    for (int i = 0; i < 4; ++i) calls.push_back(delayed(work)(state, i));
    parallel(calls);
    CHECK(state.atomic.get() == 2005);
    CHECK(state.real.get() == 1001);
    const Point point = state.point.get();
    CHECK(point.x == 2001);
    CHECK(point.y == -1998);
    CHECK(point.z == 3);
    CHECK(std::accumulate(state.numbers.begin(), state.numbers.end(), 0) == 14000);
  }
}

TEST_CASE("shared values of numbers have the operations of std::atomic") {
  const SharedValue<unsigned> n(12);
  CHECK(n.fetch_add(2) == 12);
  CHECK(n.fetch_sub(4) == 14);
  CHECK(n.fetch_and(6) == 10);
  CHECK(n.fetch_or(1) == 2);
  CHECK(n.fetch_xor(3) == 3);
  CHECK(n.exchange(7) == 0);
  unsigned expected = 8;
  CHECK_FALSE(n.compare_exchange(expected, 1));
  CHECK(expected == 7);
  CHECK(n.compare_exchange(expected, 1));
  CHECK(++n == 2);
  CHECK(--n == 1);
  CHECK((n += 4) == 5);
  CHECK((n -= 3) == 2);
  const SharedValue<bool> flag(false);
  CHECK_FALSE(flag.exchange(true));
  CHECK(flag.get());
  const SharedValue<float> real(1.5F);
  CHECK(real.fetch_add(1) == 1.5F);
  const SharedValue<Point> point;
  point.set({4, 5, 6});
  CHECK(point.get().y == 5);
}

TEST_CASE("a lock of a shared value keeps out others that lock it") {
  const SharedValue<int> n(1);
  {
    const auto locked = n.lock();
    const auto again = n.lock();
    *again += 1;
    CHECK(*locked == 2);
    CHECK(support::Child([&] {
            if (n.mutex().try_lock()) throw 1;
          }).wait() == 0);
  }
  support::Child dead([&] {
    n.mutex().lock();
    n.set(3);
  });
  CHECK(dead.wait() == 0);
  CHECK_THROWS_AS((void)n.lock(), OwnerDied);
  CHECK(n.get() == 3);
  n.mutex().recover();
  n.mutex().unlock();
  CHECK(*n.lock() == 3);
  const SharedValue<Point> forgiving(Point(), {.on_owner_death = OwnerDeath::recover});
  support::Child other([&] { forgiving.mutex().lock(); });
  CHECK(other.wait() == 0);
  CHECK(forgiving.get().x == 1);
}

TEST_CASE("shared values and arrays may be without a lock") {
  const SharedValue<Point> point({1, 1, 1}, {.lock = false});
  point.set({2, 3, 4});
  CHECK(point.get().z == 4);
  CHECK_THROWS_WITH_AS((void)point.lock(), doctest::Contains("without a lock"), BadArgument);
  const SharedArray<double> array(3, {.lock = false});
  CHECK_THROWS_AS((void)array.mutex(), BadArgument);
  array[2] = 5;
  CHECK(std::span<double>(array)[2] == 5);
}

TEST_CASE("shared arrays begin with what they are given") {
  const SharedArray<Point> points(2);
  CHECK(points[1].z == 3);
  const std::vector<int> values{3, 1, 2};
  const SharedArray<int> numbers{std::span<const int>(values)};
  CHECK(std::vector<int>(numbers.begin(), numbers.end()) == values);
  CHECK(SharedArray<int>({7, 8, 9})[2] == 9);
  CHECK(SharedArray<int>{5}.size() == 1);
  CHECK(SharedArray<long>(std::vector<long>{4, 2})[0] == 4);
  CHECK(SharedArray<int>().size() == 0);
  CHECK(SharedArray<char>(1'000'003).size() == 1'000'003);
  CHECK_THROWS_AS(SharedArray<double>(static_cast<std::size_t>(-1)), BadArgument);
}

TEST_CASE("Array::shared is one array for all tasks, of any size and part") {
  const auto write = [](const Array<int>& array, std::size_t i) {
    array[i] = static_cast<int>(i) + 1;
  };
  for (const std::string& backend : all_backends) {
    for (const std::size_t n : {std::size_t{3}, std::size_t{1} << 20}) {
      CAPTURE(backend);
      CAPTURE(n);
      const auto array = Array<int>::shared({n});
      CHECK(array[n - 1] == 0);
      for (const MmapMode mode :
           {MmapMode::copy_on_write, MmapMode::read_write, MmapMode::read, MmapMode::none}) {
        const Parallel parallel({.n_jobs = 2, .backend = backend, .mmap_mode = mode});
        parallel(std::vector{delayed(write)(array, std::size_t{0}), delayed(write)(array, n - 1)});
        CHECK(array[0] == 1);
        CHECK(array[n - 1] == static_cast<int>(n));
        array[0] = 0;
        array[n - 1] = 0;
      }
    }
  }
  CHECK(Array<int>::shared({0, 3}).size() == 0);
  const auto fortran = Array<double>::shared({2, 3}, Order::fortran);
  CHECK(fortran.order() == Order::fortran);
}

TEST_CASE("many shared values may be passed at once; too many in use are an error") {
  std::vector<SharedValue<int>> values;
  for (int i = 0; i < 50; ++i) values.emplace_back(i);
  const auto sum = [](const std::vector<SharedValue<int>>& all) {
    int total = 0;
    for (const auto& value : all) total += value.get();
    return total;
  };
  for (const std::string& backend : all_backends) {
    CAPTURE(backend);
    CHECK(std::get<0>(Parallel({.n_jobs = 2, .backend = backend})(delayed(sum)(values))) == 1225);
  }
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  rlimit small = limit;
  small.rlim_cur = 256;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &small) == 0);
  std::vector<SharedValue<int>> more;
  const auto fill = [&] {
    for (int i = 0; i < 100; ++i) more.emplace_back(i);
  };
  CHECK_THROWS_AS(fill(), SystemError);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  CHECK_NOTHROW(SharedValue<int>(1));
}

TEST_CASE("what tasks return of shared arrays is the array itself") {
  const auto part = [](const Array<int>& array) {
    array[1] = 5;
    return array;
  };
  for (const std::string& backend : all_backends) {
    CAPTURE(backend);
    const auto array = Array<int>::shared({std::size_t{1} << 19});
    const auto parts =
        Parallel({.n_jobs = 2, .backend = backend})(std::vector(2, delayed(part)(array)));
    parts[0][2] = 6;
    CHECK(array[1] == 5);
    CHECK(array[2] == 6);
  }
}
