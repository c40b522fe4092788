// SPDX-License-Identifier: BSD-3-Clause
// expect: write 0.0 instead of 0

#include <hoist/hoist.hpp>

#include <functional>
#include <list>
#include <string>
#include <vector>

int main() {
  const std::vector<double> values{0.5, 0.5};
  hoist::Parallel().reduce(values, 0, std::plus());
}
