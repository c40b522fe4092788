// SPDX-License-Identifier: BSD-3-Clause
// first: all are needed

#include <hoist/hoist.hpp>

int add(int x, int y = 2) { return x + y; }

int main() { auto result = hoist::Parallel()(hoist::delayed(add)(1)); }
