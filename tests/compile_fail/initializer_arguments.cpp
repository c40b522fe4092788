// SPDX-License-Identifier: BSD-3-Clause
// first: initializer: the function can't be called

#include <hoist/hoist.hpp>

int square(int x) { return x * x; }

int main() { hoist::Parallel parallel({.workers = {.initializer = {square, 1, 2}}}); }
