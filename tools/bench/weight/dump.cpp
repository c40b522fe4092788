// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/dump.hpp>

#include <string>
#include <vector>

struct Record {
  std::string name;
  std::vector<double> values;
};

int main() {
  hoist::dump(Record{"a", {1, 2}}, "/dev/null");
  return hoist::load<Record>("/dev/null").name.empty() ? 0 : 1;
}
