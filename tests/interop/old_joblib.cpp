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

// Files that joblib 0.8 and 0.9 wrote, and files that versions up to 1.1 must be able to read. Real
// ones are in joblib's test data, which Debian installs; others follow docs/formats/pickle.md.

using hoist::load;
using hoist::LoadOptions;
using hoist::MmapMode;
using hoist::Value;
using support::python;
using support::TempDir;

namespace {

const LoadOptions with_companions{.companion_files = true};

/// A pickle of a list with one array, which is stored in `file`.
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

  // Damaged or inconsistent files.
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

// Debian has no joblib of that age. Its reader expects an array's elements directly behind the
// description of the array, which has five attributes.
TEST_CASE("what hoist dumps is read by the rules of joblib 0.11 to 1.1") {
  using hoist::Array;
  using hoist::Order;
  const TempDir dir;
  Array<double> rows({3, 4});
  Array<float> columns({2, 3}, Order::fortran);
  for (std::size_t i = 0; i < rows.size(); ++i) rows.data()[i] = static_cast<double>(i);
  for (std::size_t i = 0; i < columns.size(); ++i) columns.data()[i] = static_cast<float>(i);
  const Value value = Value::dict({{"rows", Value(rows)},
                                   {"columns", Value(columns)},
                                   {"none", Value(Array<std::int16_t>({0, 2}))},
                                   {"one", Value(Array<std::int64_t>(hoist::Shape{}))},
                                   {"objects", Value::objects({2}, Order::c, {"a", Value(rows)})},
                                   {"again", Value::list({Value(rows), "text", 2})}});
  hoist::dump(value, dir / "plain.joblib");
  hoist::dump(value, dir / "packed.joblib.gz");
  CHECK(python(dir.path(), R"(
import gzip, pickle, numpy as np
class NumpyArrayWrapper: pass
class Reader(pickle._Unpickler):
    dispatch = dict(pickle._Unpickler.dispatch)
    def __init__(self, path, mode):
        self.path, self.mode = path, mode
        self.handle = gzip.open(path) if path.endswith('gz') else open(path, 'rb')
        super().__init__(self.handle)
    def find_class(self, module, name):
        if (module, name) == ('joblib.numpy_pickle', 'NumpyArrayWrapper'): return NumpyArrayWrapper
        return super().find_class(module, name)
    def load_build(self):
        pickle._Unpickler.load_build(self)
        if isinstance(self.stack[-1], NumpyArrayWrapper):
            self.stack[-1] = self.elements(self.stack[-1])
    dispatch[pickle.BUILD[0]] = load_build
    def elements(self, of):
        assert sorted(vars(of)) == ['allow_mmap', 'dtype', 'order', 'shape', 'subclass'], vars(of)
        if of.dtype.hasobject: return pickle.load(self.handle)
        if self.mode and of.allow_mmap:
            at = self.handle.tell()
            assert at % 64 == 0
            mapped = np.memmap(self.path, of.dtype, self.mode, at, of.shape, of.order)
            self.handle.seek(at + mapped.nbytes)
            return mapped
        n = int(np.prod(of.shape, dtype=np.int64)) * of.dtype.itemsize
        return np.frombuffer(self.handle.read(n), of.dtype).reshape(of.shape, order=of.order)
rows = np.arange(12.).reshape(3, 4)
for path, mode in (('plain.joblib', None), ('packed.joblib.gz', None), ('packed.joblib.gz', 'r'),
                   ('plain.joblib', 'r')):
    v = Reader(path, mode).load()
    assert isinstance(v['rows'], np.memmap) == (path == 'plain.joblib' and mode == 'r')
    assert (v['rows'] == rows).all() and v['rows'].dtype == 'f8'
    assert v['columns'].flags.f_contiguous
    assert (v['columns'] == np.arange(6.).reshape(2, 3, order='F')).all()
    assert v['none'].shape == (0, 2) and v['none'].dtype == 'i2'
    assert v['one'].shape == () and v['one'] == 0
    assert v['objects'].dtype == object and v['objects'][0] == 'a'
    assert (v['objects'][1] == rows).all()
    assert (v['again'][0] == rows).all() and v['again'][1:] == ['text', 2]
)") == "");
}
