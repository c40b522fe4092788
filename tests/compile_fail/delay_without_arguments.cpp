// SPDX-License-Identifier: BSD-3-Clause
// first: delayed(f) still needs its arguments

#include <hoist/hoist.hpp>

int answer() { return 42; }

int main() { auto results = hoist::Parallel()(hoist::delayed(answer)); }
