// SPDX-License-Identifier: BSD-3-Clause
//
// Eigen's types are told by their member types; this one has those of an expression.
// first: call .eval() on it

#include <hoist/hoist.hpp>

struct Product {
  using PlainObject = int;
  using StorageKind = int;
  using Scalar = double;
  Product() {}
};

int main() { return hoist::hash(Product()).hex().empty() ? 1 : 0; }
