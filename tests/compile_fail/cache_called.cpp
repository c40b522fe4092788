// SPDX-License-Identifier: BSD-3-Clause
// first: f is the function itself

#include <hoist/hoist.hpp>

int square(int x) { return x * x; }

int main() { auto cached = hoist::Memory("cache").cache(square(2)); }
