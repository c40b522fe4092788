// SPDX-License-Identifier: BSD-3-Clause
//
// Three processes smooth a signal in steps: nobody begins a step before all are done with the one
// before. The signal is an array in shared memory, in two versions.

#include <hoist/hoist.hpp>

#include <cstddef>
#include <cstdio>
#include <vector>

namespace {

constexpr std::size_t points = 12;
constexpr int steps = 50;

void smooth(const hoist::Array<double>& signal, const hoist::Barrier& barrier, std::size_t first,
            std::size_t last) {
  for (int step = 0; step < steps; ++step) {
    const std::size_t from = step % 2 == 0 ? 0 : points;
    const std::size_t to = points - from;
    for (std::size_t i = first; i < last; ++i) {
      const std::size_t before = i == 0 ? i : i - 1;
      const std::size_t behind = i + 1 == points ? i : i + 1;
      signal[to + i] = (signal[from + before] + 2 * signal[from + i] + signal[from + behind]) / 4;
    }
    barrier.wait();
  }
}

}  // namespace

int main() {
  const auto signal = hoist::Array<double>::shared({2 * points});
  signal[0] = 120;
  const hoist::Barrier barrier(3);
  std::vector<decltype(hoist::delayed(smooth)(signal, barrier, points, points))> calls;
  for (std::size_t part = 0; part < 3; ++part) {
    calls.push_back(
        hoist::delayed(smooth)(signal, barrier, part * points / 3, (part + 1) * points / 3));
  }
  hoist::Parallel({.n_jobs = 3, .backend = "spawn"})(calls);
  for (std::size_t i = 0; i < points; ++i) std::printf("%.1f ", signal[i]);
  std::puts("");
}
