// SPDX-License-Identifier: BSD-3-Clause
// expect: no std::vector<bool>

#include <hoist/hoist.hpp>

#include <functional>
#include <list>
#include <string>
#include <vector>

int main() {
  std::vector<bool> out(2);
  hoist::Parallel().map_into(std::vector{1, 2}, [](int a) { return a > 1; }, out);
}
