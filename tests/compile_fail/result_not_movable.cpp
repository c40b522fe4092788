// SPDX-License-Identifier: BSD-3-Clause
// first: this type can't be moved

#include <hoist/hoist.hpp>

#include <vector>

struct Fixed {
  Fixed() = default;
  Fixed(Fixed&&) = delete;
};
Fixed make(int) { return {}; }

int main() { auto all = hoist::Parallel().map(std::vector{1, 2}, make); }
