// SPDX-License-Identifier: BSD-3-Clause
// expect: does not convert to an element of the output

#include <hoist/hoist.hpp>

#include <functional>
#include <list>
#include <string>
#include <vector>

int main() {
  std::vector<int> out(2);
  hoist::Parallel().map_into(std::vector{1, 2}, [](int) { return std::string(); }, out);
}
