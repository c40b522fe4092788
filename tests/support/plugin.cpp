// SPDX-License-Identifier: BSD-3-Clause
//
// The library that plain_host.cpp loads.
#include <hoist/parallel.hpp>

#include <cstdio>
#include <exception>
#include <vector>

namespace {

int square(int x) { return x * x; }

}  // namespace

extern "C" __attribute__((visibility("default"))) int run_loop() {
  try {
    hoist::Parallel({.n_jobs = 2, .backend = "spawn"}).map(std::vector{1, 2, 3}, square);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "loop: %s\n", error.what());
    return 1;
  }
}
