// SPDX-License-Identifier: BSD-3-Clause
// expect: copy its elements to a vector

#include <hoist/hoist.hpp>

#include <functional>
#include <list>
#include <string>
#include <vector>

int main() {
  const std::list<int> list{1, 2};
  for (const auto& [a, b] : hoist::product(list, list)) static_cast<void>(a + b);
}
