// SPDX-License-Identifier: BSD-3-Clause
//
// A result that can't be stored.
// expect: can't store what this function returns
// expect: hoist::Storable

#include <hoist/hoist.hpp>

#include <functional>

std::function<int(int)> make(int n) {
  return [n](int x) { return x + n; };
}

int main() { hoist::Memory("cache").cache(make); }
