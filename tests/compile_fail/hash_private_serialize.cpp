// SPDX-License-Identifier: BSD-3-Clause
// first: friend hoist::Access

#include <hoist/hoist.hpp>

class Model {
  int size = 0;
  template <class Ar>
  void serialize(Ar& ar) {
    ar(size);
  }
};

int main() { return hoist::hash(Model()).hex().empty() ? 1 : 0; }
