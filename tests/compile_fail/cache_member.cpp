// SPDX-License-Identifier: BSD-3-Clause
//
// Changes that a member function makes to its object would be lost on a hit.
// expect: const member functions only
// expect: pass it as an argument

#include <hoist/hoist.hpp>

struct Model {
  int calls = 0;
  int predict(int x) { return x + ++calls; }
};

int main() { hoist::Memory("cache").cache(&Model::predict); }
