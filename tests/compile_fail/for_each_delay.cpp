// SPDX-License-Identifier: BSD-3-Clause
// expect: the result of a task is delayed(f), which nobody calls

#include <hoist/hoist.hpp>

#include <vector>

int square(int x) { return x * x; }

int main() {
  std::vector<int> values{1, 2};
  hoist::Parallel().for_each(values, hoist::delayed(square));
}
