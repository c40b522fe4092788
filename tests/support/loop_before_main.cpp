// SPDX-License-Identifier: BSD-3-Clause
//
// A program that runs a spawn loop before main.
#include <hoist/parallel.hpp>

#include <cstdio>
#include <exception>
#include <vector>

#include "support/count_starts.hpp"

namespace {

int square(int x) { return x * x; }

std::vector<int> squares() {
  support::count_start();
  try {
    return hoist::Parallel({.n_jobs = 2, .backend = "spawn"}).map(std::vector{1, 2, 3}, square);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "loop: %s\n", error.what());
    return {};
  }
}

const std::vector<int> table = squares();

}  // namespace

int main() { return table.empty() ? 1 : 0; }
