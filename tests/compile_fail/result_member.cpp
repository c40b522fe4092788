// SPDX-License-Identifier: BSD-3-Clause
//
// The member that is to blame is named, with the struct that it is in.
// first: hoist can't store, hash or send values of this type
// expect: MemberName<
// expect: "call"
// expect: Step

#include <hoist/hoist.hpp>

#include <functional>
#include <vector>

struct Step {
  int number;
  std::function<int()> call;
};
std::vector<Step> plan(int) { return {}; }

int main() { auto cached = hoist::Memory("cache").cache(plan); }
