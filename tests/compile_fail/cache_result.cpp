// SPDX-License-Identifier: BSD-3-Clause
//
// A result that can't be stored.
// first: hoist can't store, hash or send values of this type
// expect: ResultOfCachedFunction

#include <hoist/hoist.hpp>

#include <functional>

std::function<int(int)> make(int n) {
  return [n](int x) { return x + n; };
}

int main() { auto cached = hoist::Memory("cache").cache(make); }
