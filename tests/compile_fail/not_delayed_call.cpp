// SPDX-License-Identifier: BSD-3-Clause
// first: wrap it in delayed

#include <hoist/hoist.hpp>

int square(int x) { return x * x; }

int main() { auto results = hoist::Parallel()(square(1), square(2)); }
