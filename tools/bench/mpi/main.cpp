// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/array.hpp>
#include <hoist/delayed.hpp>
#include <hoist/parallel.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <ranges>
#include <string>
#include <vector>

// Loops on the ranks of an MPI job, for the group `cluster`: prints the figure of the work named.

using namespace hoist;

namespace {

int square(int x) { return x * x; }
double at(const Array<double>& array, std::size_t i) { return array.data()[i]; }

double median_seconds(int rounds, const std::function<void()>& work) {
  std::vector<double> times;
  for (int i = 0; i <= rounds; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    if (i > 0) {
      times.push_back(
          std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    }
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

double tasks_per_second(const ParallelOptions& options, int tasks) {
  const Parallel parallel(options);
  return tasks / median_seconds(5, [&] { parallel.map(std::views::iota(0, tasks), square); });
}

/// Bytes per second that reach two hosts, each once: another array each time.
double array_bytes_per_second() {
  constexpr std::size_t n = std::size_t{256} << 17;
  int round = 0;
  double bytes = 0;
  const double seconds = [&] {
    std::vector<double> times;
    for (int i = 0; i < 4; ++i) {
      Array<double> array({n});
      for (std::size_t k = 0; k < n; ++k) array.data()[k] = static_cast<double>(k) + round;
      ++round;
      std::vector<decltype(delayed(at)(array, std::size_t{}))> calls;
      for (std::size_t k = 0; k < 8; ++k) calls.push_back(delayed(at)(array, k));
      const auto begin = std::chrono::steady_clock::now();
      Parallel({.batch_size = 1})(calls);
      if (i > 0) {
        times.push_back(
            std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
      }
    }
    bytes = 2.0 * 8.0 * static_cast<double>(n);
    std::sort(times.begin(), times.end());
    return times[times.size() / 2];
  }();
  return bytes / seconds;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string work = argc > 1 ? argv[1] : "";
  if (work == "batches") std::printf("%g\n", tasks_per_second({}, 2'000'000));
  if (work == "one") std::printf("%g\n", tasks_per_second({.batch_size = 1}, 100'000));
  if (work == "array") std::printf("%g\n", array_bytes_per_second());
  if (work == "first") {
    // Both workers have answered.
    Parallel({.batch_size = 1}).map(std::views::iota(0, 2), square);
    std::puts("1");
  }
}
