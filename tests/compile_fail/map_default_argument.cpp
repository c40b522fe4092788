// SPDX-License-Identifier: BSD-3-Clause
// first: no default arguments

#include <hoist/hoist.hpp>

#include <vector>

int add(int x, int y = 2) { return x + y; }

int main() { auto sums = hoist::Parallel().map(std::vector{1, 2}, add); }
