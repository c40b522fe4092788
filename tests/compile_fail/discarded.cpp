// SPDX-License-Identifier: BSD-3-Clause
// flags: -Wall -Werror
// expect: .cpp:30:
// expect: .cpp:31:
// expect: .cpp:32:
// expect: .cpp:33:
// expect: .cpp:34:
// expect: .cpp:35:
// expect: .cpp:36:
// expect: .cpp:37:
// expect: .cpp:38:
// expect: .cpp:39:
// expect: .cpp:40:
// expect: .cpp:41:
// expect: .cpp:42:
// expect: .cpp:43:
// Each of these statements does nothing.

#include <hoist/hoist.hpp>

#include <vector>

int square(int x) { return x * x; }

int main() {
  const std::vector values{1, 2};
  std::vector calls{hoist::delayed(square)(1)};
  const hoist::Parallel parallel;
  hoist::Memory memory;
  hoist::ParallelConfig({.n_jobs = 2});
  hoist::ParallelConfig{{.n_jobs = 2}};
  hoist::delayed(square)(3);
  hoist::delayed(square);
  parallel.generator(calls);
  parallel.generator_unordered(calls);
  parallel.map_outcomes(values, square);
  parallel.outcomes(calls);
  memory.cache(square);
  hoist::Memory("cache");
  hoist::load<int>("file.hoist");
  hoist::share(values);
  hoist::hash(1);
  hoist::Parallel({.n_jobs = 2});
}
