// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/array.hpp>
#include <hoist/dump.hpp>
#include <hoist/value.hpp>

#include <sstream>
#include <string>
#include <vector>

#include "support/python.hpp"
#include "support/temp_dir.hpp"

// Files of joblib 0.8 and 0.9. Its own test data, which Debian installs, have real ones; further ones
// are made after docs/formats/pickle.md.

using hoist::load;
using hoist::LoadOptions;
using hoist::MmapMode;
using hoist::Value;
using support::python;
using support::TempDir;

namespace {

const LoadOptions with_companions{.companion_files = true};

/// A pickle that names `file` as the place of its one array, in a list.
std::string pickle_naming(const std::string& file, int times = 1) {
  std::string text = "\x80\x02](";
  for (int i = 0; i < times; ++i) {
    text += "cjoblib.numpy_pickle\nNDArrayWrapper\n)\x81}(X\x08";
    text += std::string("\0\0\0filenameX", 12) + static_cast<char>(file.size());
    text += std::string("\0\0\0", 3) + file;
    text += std::string("X\x08\0\0\0subclasscnumpy\nndarray\nub", 30);
  }
  return text + "e.";
}

}  // namespace

TEST_CASE("all of joblib's own old files hold the same value") {
  const TempDir dir;
  REQUIRE(python(dir.path(), R"(
import joblib, shutil, os
data = os.path.join(os.path.dirname(joblib.__file__), 'test', 'data')
for name in os.listdir(data):
    if name.startswith('joblib_'): shutil.copy(os.path.join(data, name), '.')
)") == "");
  std::size_t seen = 0;
  std::size_t old = 0;
  for (const auto& file : std::filesystem::directory_iterator(dir.path())) {
    const std::string name = file.path().filename().string();
    if (name.find(".npy") != std::string::npos) continue;
    CAPTURE(name);
    ++seen;
    old += name.find("_0.8.") != std::string::npos || name.find("_0.9.") != std::string::npos;
    Value value;
    try {
      value = load<Value>(file.path(), with_companions);
    } catch (const hoist::Error& error) {
      FAIL_CHECK(error.what());
      continue;
    }
    const auto items = value.items();
    REQUIRE(items.size() == 6);
    CHECK(items[0].to<std::vector<std::int64_t>>() == std::vector<std::int64_t>{0, 1, 2, 3, 4});
    CHECK(items[1].to<std::vector<double>>() == std::vector<double>{0, 1, 2, 3, 4});
    CHECK(items[2].kind() == Value::Kind::objects);
    CHECK(items[2].items()[0].as_int() == 1);
    CHECK(items[3].as_bytes().size() == 256);
    CHECK(items[4].shape() == hoist::Shape{1, 3});
    CHECK(items[5].as_text() == "C'est l'\xC3\xA9t\xC3\xA9 !");
  }
  CHECK(seen >= 40);
  CHECK(old >= 10);

  const auto plain = dir / "joblib_0.9.2_pickle_py34_np19.pkl";
  CHECK_THROWS_WITH_AS(load<Value>(plain), doctest::Contains("LoadOptions::companion_files"),
                       hoist::UnsafeData);
  const auto mapped = load<Value>(plain, {.mmap = MmapMode::read, .companion_files = true});
  CHECK(mapped.items()[1].to<std::vector<double>>()[4] == 4);
  std::ifstream stream(plain, std::ios::binary);
  CHECK_THROWS_AS(load<Value>(stream, with_companions), hoist::UnsafeData);
  std::ifstream packed(dir / "joblib_0.9.2_compressed_pickle_py34_np19.gz", std::ios::binary);
  CHECK(load<Value>(packed).items().size() == 6);
  CHECK_THROWS_AS(
      load<Value>(dir / "joblib_0.9.2_compressed_pickle_py34_np19.gz", {.mmap = MmapMode::read}),
      hoist::BadArgument);

  // What is damaged, or lies.
  const std::string good = support::slurp(dir / "joblib_0.9.2_compressed_pickle_py27_np17.gz");
  for (std::size_t n = 0; n < good.size(); ++n) {
    std::istringstream cut(good.substr(0, n));
    CHECK_THROWS_AS(load<Value>(cut), hoist::Error);
  }
  std::string lies = good;
  lies[4] ^= 1;
  std::istringstream lying(lies);
  CHECK_THROWS_AS(load<Value>(lying), hoist::DamagedData);
  std::filesystem::remove(dir / "joblib_0.9.2_pickle_py34_np19.pkl_02.npy");
  CHECK_THROWS_AS(load<Value>(plain, with_companions), hoist::NotFound);
}

TEST_CASE("no other file than one in the pickle's own folder is ever read") {
  const TempDir dir;
  std::filesystem::create_directory(dir / "sub");
  hoist::dump(hoist::Array<double>({3}), dir / "a.npy");
  hoist::dump(hoist::Array<double>({3}), dir / "sub/a.npy");
  std::filesystem::create_symlink("../a.npy", dir / "sub/link.npy");
  std::filesystem::create_directory(dir / "sub/folder.npy");
  const auto path = dir / "sub/p.pkl";
  support::spill(path, pickle_naming("a.npy"));
  CHECK(load<Value>(path, with_companions).items()[0].shape() == hoist::Shape{3});
  for (const std::string& name :
       {std::string("../a.npy"), (dir / "a.npy").string(), std::string("link.npy"),
        std::string("folder.npy"), std::string(".."), std::string("."), std::string(""),
        std::string("a.npy\0", 6), std::string("x\\a.npy")}) {
    CAPTURE(name);
    support::spill(path, pickle_naming(name));
    CHECK_THROWS_AS(load<Value>(path, with_companions), hoist::UnsafeData);
  }
  support::spill(path, pickle_naming("p.pkl"));
  CHECK_THROWS_AS(load<Value>(path, with_companions), hoist::DamagedData);
  support::spill(path, pickle_naming("a.npy", 2));
  CHECK_THROWS_AS(load<Value>(path, with_companions), hoist::DamagedData);
}
