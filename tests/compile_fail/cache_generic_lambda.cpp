// SPDX-License-Identifier: BSD-3-Clause
//
// The declared parameter types are what arguments are converted to; a generic lambda has none.
// expect: one call operator
// expect: names its parameter types

#include <hoist/hoist.hpp>

int main() {
  hoist::Memory("cache").cache([](auto x) { return x + 1; });
}
