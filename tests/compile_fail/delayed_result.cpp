// SPDX-License-Identifier: BSD-3-Clause
// expect: f is the function itself, not the result of calling it

#include <hoist/hoist.hpp>

int square(int x) { return x * x; }

int main() { hoist::Parallel()(hoist::delayed(square(3))); }
