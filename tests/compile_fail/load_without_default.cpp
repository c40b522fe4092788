// SPDX-License-Identifier: BSD-3-Clause
// first: needs a default constructor

#include <hoist/hoist.hpp>

struct Model {
  explicit Model(int) {}
  template <class Ar>
  void serialize(Ar&) {}
};

int main() { auto model = hoist::load<Model>("model.hoist"); }
