// SPDX-License-Identifier: BSD-3-Clause
// first: wrap it in delayed

#include <hoist/hoist.hpp>

#include <vector>

int square(int x) { return x * x; }

int main() {
  std::vector<int> squares{square(1), square(2)};
  auto results = hoist::Parallel()(squares);
}
