// SPDX-License-Identifier: BSD-3-Clause
// first: this type can't be moved

#include <hoist/hoist.hpp>

struct Fixed {
  Fixed() = default;
  Fixed(Fixed&&) = delete;
  template <class Ar>
  void serialize(Ar&) {}
};
Fixed make(int) { return {}; }

int main() {
  auto cached = hoist::Memory("cache").cache(make);
  cached(1);
}
