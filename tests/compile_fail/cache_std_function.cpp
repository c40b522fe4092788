// SPDX-License-Identifier: BSD-3-Clause
// first: which function a std::function holds

#include <hoist/hoist.hpp>

#include <functional>

int main() {
  std::function<int(int)> f = [](int x) { return x; };
  auto cached = hoist::Memory("cache").cache(f);
  cached(1);
}
