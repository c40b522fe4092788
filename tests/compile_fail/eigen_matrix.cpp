// SPDX-License-Identifier: BSD-3-Clause
//
// Eigen's types are told by their member types; this one has them.
// first: #include <hoist/eigen.hpp>

#include <hoist/hoist.hpp>

struct Matrix {
  using PlainObject = Matrix;
  using StorageKind = int;
  using Scalar = double;
  Matrix() {}
};

int main() { return hoist::hash(Matrix()).hex().empty() ? 1 : 0; }
