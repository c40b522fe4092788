// SPDX-License-Identifier: BSD-3-Clause
//
// The control: the correct versions of what the other files do wrong.
// expect-success

#include <hoist/hoist.hpp>

#include <functional>
#include <string>

struct Handler {
  std::function<int(int)> call;
  std::string name;

  template <class Ar>
  void serialize(Ar& ar) {
    ar(name);
  }
};

int main() { return hoist::hash(Handler{}).hex().empty() ? 1 : 0; }
