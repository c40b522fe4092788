// SPDX-License-Identifier: BSD-3-Clause
// expect: f can't be called

#include <hoist/hoist.hpp>

#include <functional>
#include <list>
#include <string>
#include <vector>

int main() {
  const std::vector<std::pair<int, std::string>> pairs;
  hoist::Parallel().starmap(pairs, [](int a, int b) { return a + b; });
}
