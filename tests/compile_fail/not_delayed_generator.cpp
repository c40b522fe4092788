// SPDX-License-Identifier: BSD-3-Clause
// first: wrap it in delayed

#include <hoist/hoist.hpp>

#include <vector>

int main() {
  std::vector<int> squares{1, 4};
  for (int square : hoist::Parallel().generator(squares)) static_cast<void>(square);
}
