// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/array.hpp>
#include <hoist/codec.hpp>
#include <hoist/dump.hpp>
#include <hoist/error.hpp>
#include <hoist/value.hpp>

#include <cstdlib>
#include <numeric>
#include <string>
#include <vector>

#include "support/bytes.hpp"
#include "support/python.hpp"
#include "support/temp_dir.hpp"

// Files of other programs that NumPy and the standard tools read.

using hoist::load;
using hoist::Value;
using support::python;
using support::TempDir;

namespace {

std::string skippable_frame(std::size_t bytes) {
  std::string frame{'\x53', '\x2a', '\x4d', '\x18'};
  for (int shift = 0; shift < 32; shift += 8) frame += static_cast<char>(bytes >> shift);
  return frame + std::string(bytes, '\x28');
}

}  // namespace

TEST_CASE("compressed data may follow frames without data") {
  const TempDir dir;
  std::vector<double> numbers(100000);
  std::iota(numbers.begin(), numbers.end(), 0.0);
  hoist::dump(numbers, dir / "plain.npy");
  for (const char* codec : {"zstd", "lz4"}) {
    const std::string packed =
        support::compress(hoist::find_codec(codec), support::slurp(dir / "plain.npy"), 3);
    for (const std::size_t bytes : {0u, 4u, 100u, 500000u}) {
      CAPTURE(codec);
      CAPTURE(bytes);
      support::spill(dir / "f", skippable_frame(7) + skippable_frame(bytes) + packed);
      CHECK(load<std::vector<double>>(dir / "f") == numbers);
      CHECK(hoist::read_file(dir / "f") == support::slurp(dir / "plain.npy"));
    }
    support::spill(dir / "f", skippable_frame(100).substr(0, 50));
    CHECK_THROWS_AS(load<std::vector<double>>(dir / "f"), hoist::DamagedData);
  }
  const std::string file = (dir / "plain.npy").string();
  REQUIRE(std::system(("pzstd -q -p 2 " + file + " -o " + file + ".zst").c_str()) == 0);
  CHECK(load<std::vector<double>>(file + ".zst") == numbers);
}

TEST_CASE("a gzip file may be filled up with zeros") {
  const TempDir dir;
  hoist::dump(std::vector{1.0, 2.0}, dir / "f.npy.gz");
  const std::string packed = support::slurp(dir / "f.npy.gz");
  support::spill(dir / "f.npy.gz", packed + std::string(1000, '\0'));
  CHECK(std::system(("gzip -tq " + (dir / "f.npy.gz").string()).c_str()) == 0);
  CHECK(load<std::vector<double>>(dir / "f.npy.gz") == std::vector{1.0, 2.0});
}

TEST_CASE("an archive may have folders, files that are no arrays, and names of older systems") {
  const TempDir dir;
  CHECK(python(dir.path(), R"(
import io, zipfile
import numpy as np
array = io.BytesIO()
np.save(array, np.arange(3.))
with zipfile.ZipFile('mixed.npz', 'w') as f:
    f.writestr('blocks/', b'')
    f.writestr('blocks/a.npy', array.getvalue())
    f.writestr('info.json', b'{}')
    f.writestr('empty', b'')
    f.writestr('bare', array.getvalue())
    f.writestr('packed.npy', array.getvalue(), zipfile.ZIP_BZIP2)
    f.writestr('packed.txt', b'text' * 1000, zipfile.ZIP_DEFLATED)
class OldName(zipfile.ZipInfo):
    def _encodeFilenameFlags(self):
        return b'gr\x94\xe1e.npy', 0
with zipfile.ZipFile('old.npz', 'w') as f:
    f.writestr(OldName('x'), array.getvalue())
with open('old.npz', 'ab') as f: f.write(bytes(700))
assert np.load('old.npz').files == ['größe'], np.load('old.npz').files
)") == "");
  const std::vector<double> numbers{0, 1, 2};
  const Value mixed = load<Value>(dir / "mixed.npz");
  CHECK(mixed.size() == 6);
  for (const char* name : {"blocks/a", "bare", "packed"}) {
    CHECK(mixed[name].to<std::vector<double>>() == numbers);
  }
  CHECK(mixed["info.json"].as_bytes() == "{}");
  CHECK(mixed["empty"].as_bytes().empty());
  CHECK(mixed["packed.txt"].as_bytes().size() == 4000);
  CHECK(load<Value>(dir / "old.npz")["gr\xC3\xB6\xC3\x9F"
                                     "e"]
            .to<std::vector<double>>() == numbers);
  const std::string bytes = support::slurp(dir / "old.npz");
  support::spill(dir / "old.npz", bytes + "x");
  CHECK_THROWS_AS(load<Value>(dir / "old.npz"), hoist::DamagedData);
}
