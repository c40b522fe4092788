// SPDX-License-Identifier: BSD-3-Clause
// first: hoist can't visit this struct's members

#include <hoist/hoist.hpp>

struct Colour {
  float rgb[3];
  double weight;
};

int main() { return hoist::hash(Colour{}).hex().empty() ? 1 : 0; }
