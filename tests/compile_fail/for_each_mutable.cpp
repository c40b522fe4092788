// SPDX-License-Identifier: BSD-3-Clause
// expect: many workers call it at once

#include <hoist/hoist.hpp>

#include <vector>

struct Sum {
  int sum = 0;
  void operator()(int x) { sum += x; }
};

int main() {
  const std::vector<int> values{1, 2};
  Sum sum;
  hoist::Parallel().for_each(values, sum);
}
