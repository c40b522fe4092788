// SPDX-License-Identifier: BSD-3-Clause
// expect: generator(range, f): f can only be called as non-const
#include <hoist/parallel.hpp>

#include <vector>

int main() {
  int sum = 0;
  const std::vector<int> numbers{1, 2, 3};
  auto sums = hoist::Parallel().generator(numbers, [sum](int x) mutable { return sum += x; });
}
