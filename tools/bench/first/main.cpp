// SPDX-License-Identifier: BSD-3-Clause
//
// hoist_bench_first WORK: prints the seconds that some work takes as the first work of a program.
// Separate from hoist_bench, because its peers (oneTBB, OpenMP) would be prepared for forked
// children, too.

#include <hoist/parallel.hpp>

#include <cstdio>
#include <ranges>
#include <string_view>

#include "../raw_fork.hpp"

int main(int argc, char** argv) {
  const std::string_view work = argc == 2 ? argv[1] : "";
  const auto start = std::chrono::steady_clock::now();
  if (work == "fork") {
    const hoist::Parallel loop({.n_jobs = 2, .backend = "fork", .force_fork = true});
    static_cast<void>(loop.map(std::views::iota(0, 2), [](int i) { return i; }));
  } else if (work == "raw-fork") {
    bench::raw_fork();
  } else {
    std::fprintf(stderr, "usage: hoist_bench_first fork | raw-fork\n");
    return 2;
  }
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  std::printf("%g\n", time.count());
}
