// SPDX-License-Identifier: BSD-3-Clause
// first: hoist can't visit this struct's members

#include <hoist/hoist.hpp>

struct Flags {
  unsigned low : 3;
  unsigned high : 5;
};

int main() { hoist::dump(Flags{}, "flags.hoist"); }
