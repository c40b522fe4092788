// SPDX-License-Identifier: BSD-3-Clause
// expect: the elements of the range are no tuples

#include <hoist/hoist.hpp>

#include <functional>
#include <list>
#include <string>
#include <vector>

int main() {
  const std::vector<int> values{1, 2};
  hoist::Parallel().starmap(values, [](int a) { return a; });
}
