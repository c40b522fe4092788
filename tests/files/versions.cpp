// SPDX-License-Identifier: BSD-3-Clause
//
// Files of older versions are read, in every way in which files are read.
#include <doctest/doctest.h>
#include <hoist/dump.hpp>
#include <hoist/file_info.hpp>
#include <hoist/hash.hpp>
#include <hoist/memory.hpp>
#include <hoist/open_array.hpp>
#include <hoist/value.hpp>

#include <filesystem>
#include <string>
#include <vector>

#include "support/corpus.hpp"
#include "support/temp_dir.hpp"

using namespace hoist;

namespace {

std::vector<std::string> files_of(const std::string& version) {
  std::vector<std::string> files;
  for (const auto& file :
       std::filesystem::directory_iterator(HOIST_TEST_DATA "/files-" + version)) {
    if (file.path().extension() != ".cpp") files.push_back(file.path());
  }
  return files;
}

bool is_model(const std::string& file) { return file.find("/model.") != std::string::npos; }

}  // namespace

TEST_CASE("files of version 0.1 have the values that were written") {
  const auto files = files_of("0.1");
  REQUIRE(files.size() == 12);
  for (const std::string& file : files) {
    CAPTURE(file);
    CHECK_NOTHROW(verify_file(file));
    CHECK_NOTHROW(load<Value>(file));
    if (!is_model(file)) continue;
    const auto model = load<corpus::Model>(file);
    CHECK(hoist::hash(model) == hoist::hash(corpus::model()));
    CHECK(model.layers[0].weights(79, 7) == 0.5 * 639);
    CHECK(model.first == model.second);
  }
}

TEST_CASE("arrays of version 0.1 are mapped, read and written") {
  const support::TempDir dir;
  const std::string from = HOIST_TEST_DATA "/files-0.1/";
  const auto ramp = load<Array<const double>>(from + "ramp.npy", {.mmap = MmapMode::read});
  CHECK(hoist::hash(ramp) == hoist::hash(corpus::ramp(60, 16)));
  const std::string written = dir / "written.hoist";
  std::filesystem::copy_file(from + "written.hoist", written);
  auto array = open_array<float>(written, {5, 7});
  CHECK(array(4, 6) == 34);
  array(0, 0) = 1;
  CHECK(load<Array<float>>(written)(0, 0) == 1);
}

TEST_CASE("containers without compression are the same bytes as those of version 0.1") {
  // Not a promise: whoever changes this adds a corpus, and a line to the changelog.
  const support::TempDir dir;
  dump(corpus::model(), dir / "model.hoist");
  CHECK(support::slurp(dir / "model.hoist") ==
        support::slurp(HOIST_TEST_DATA "/files-0.1/model.hoist"));
}

TEST_CASE("a table of uses of version 0.1 is begun anew, and costs no entry") {
  const support::TempDir dir;
  std::filesystem::copy(HOIST_TEST_DATA "/cache-0.1", dir / "cache",
                        std::filesystem::copy_options::recursive);
  std::filesystem::create_directory(dir / "cache/.hoist");
  std::string table(65600, '\xff');
  table.replace(0, 16, std::string("hoistus1\0\x10\0\0\0\0\0\0", 16));
  support::spill(dir / "cache/.hoist/uses", table);
  const Memory memory(dir / "cache");
  const auto entries = memory.entries();
  CHECK(entries.size() == 2);
  for (const auto& entry : entries) CHECK(entry.uses() == 0);
}
