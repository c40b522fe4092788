// SPDX-License-Identifier: BSD-3-Clause
// expect: op(T, value), where T is the type of init

#include <hoist/hoist.hpp>

#include <functional>
#include <list>
#include <string>
#include <vector>

int main() {
  const std::vector<int> values{1, 2};
  hoist::Parallel().reduce(values, std::string(), std::minus());
}
