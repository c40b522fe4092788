// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/hoist.hpp>

#include <cstdio>
#include <exception>
#include <vector>

namespace {

int square(int x) { return x * x; }

}  // namespace

extern "C" int run_loop() {
  try {
    const hoist::Parallel parallel({.n_jobs = 2, .backend = "spawn"});
    return parallel.map(std::vector{1, 2, 3}, square) == std::vector{1, 4, 9} ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "plugin: %s\n", error.what());
    return 1;
  }
}
