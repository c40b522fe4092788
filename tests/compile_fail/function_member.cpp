// SPDX-License-Identifier: BSD-3-Clause
//
// A std::function has no value that could be hashed: the error names the type and the remedy.
// expect: Handler
// expect: serialize

#include <hoist/hoist.hpp>

#include <functional>
#include <string>

struct Handler {
  std::function<int(int)> call;
  std::string name;
};

int main() { return hoist::hash(Handler{}).hex().empty() ? 1 : 0; }
