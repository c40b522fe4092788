// SPDX-License-Identifier: BSD-3-Clause
//
// hoist keys a lambda's captures by their bytes, and a string is more than its bytes.
// expect: can't make a key of what this callable holds
// expect: pass it as an argument

#include <hoist/hoist.hpp>

#include <string>

int main() {
  const std::string prefix = "item ";
  hoist::Memory("cache").cache([prefix](int i) { return prefix + std::to_string(i); });
}
