// SPDX-License-Identifier: BSD-3-Clause
// first: f can't be called with these arguments

#include <hoist/hoist.hpp>

int square(int x) { return x * x; }

int main() { auto results = hoist::Parallel()(hoist::delayed(square)()); }
