// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/parallel.hpp>

#include <cstdio>
#include <vector>

int main(int argc, char**) {
  const std::vector<int> numbers(10, argc);
  const auto doubled = hoist::Parallel().map(numbers, [](int i) { return 2 * i; });
  std::printf("%d\n", doubled[0]);
}
