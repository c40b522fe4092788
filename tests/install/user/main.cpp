// SPDX-License-Identifier: BSD-3-Clause
//
// A user's first program.

#include <hoist/hoist.hpp>

#include <cstdio>
#include <vector>

int main() {
  const auto squares =
      hoist::Parallel({.n_jobs = 2}).map(std::vector<int>{1, 2, 3}, [](int x) { return x * x; });
  if (squares != std::vector<int>{1, 4, 9}) return 1;

  const std::vector<double> values{0.5, 1.5, -2.0};
  hoist::dump(values, "values.hoist");
  const auto loaded = hoist::load<std::vector<double>>("values.hoist");
  if (loaded != values || hoist::hash(loaded) != hoist::hash(values)) return 2;

  std::puts(hoist::hash(squares).hex().c_str());
  return 0;
}
