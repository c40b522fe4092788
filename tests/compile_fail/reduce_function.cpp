// SPDX-License-Identifier: BSD-3-Clause
// expect: f can't be called

#include <hoist/hoist.hpp>

#include <functional>
#include <list>
#include <string>
#include <vector>

int main() {
  std::vector<int> values{1, 2};
  hoist::Parallel().reduce(values, 0, std::plus(), [](int& x) { return x; });
}
