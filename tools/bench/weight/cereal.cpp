// SPDX-License-Identifier: BSD-3-Clause
#include <cereal/archives/binary.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/vector.hpp>

#include <fstream>
#include <string>
#include <vector>

struct Record {
  std::string name;
  std::vector<double> values;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(name, values);
  }
};

int main() {
  std::ofstream out("/dev/null");
  cereal::BinaryOutputArchive writer(out);
  writer(Record{"a", {1, 2}});
  std::ifstream in("/dev/null");
  cereal::BinaryInputArchive reader(in);
  Record record;
  reader(record);
  return record.name.empty() ? 0 : 1;
}
