// SPDX-License-Identifier: BSD-3-Clause
// ctest-timeout: 600
#include <doctest/doctest.h>
#include <hoist/array.hpp>
#include <hoist/dump.hpp>
#include <hoist/error.hpp>
#include <hoist/value.hpp>

#include <cstdint>
#include <fstream>
#include <map>
#include <string>

#include "formats/npy.hpp"
#include "formats/zip.hpp"
#include "os/file.hpp"
#include "support/extended.hpp"
#include "support/python.hpp"
#include "support/sanitized.hpp"
#include "support/temp_dir.hpp"

// Archives that exceed zip's 16- and 32-bit numbers.

using hoist::Array;
using hoist::dump;
using hoist::load;
using hoist::Value;
using support::python;
using support::TempDir;

namespace {

constexpr std::size_t gib = std::size_t{1} << 30;

/// Leaves holes for large blocks, which are all zero here.
class SparseFile final : public hoist::ByteSink {
 public:
  explicit SparseFile(const std::filesystem::path& path) : out_(path, std::ios::binary) {}
  void write(std::span<const std::byte> bytes) override {
    if (bytes.size() > gib) {
      out_.seekp(static_cast<std::streamoff>(bytes.size()), std::ios::cur);
    } else {
      out_.write(reinterpret_cast<const char*>(bytes.data()),
                 static_cast<std::streamsize>(bytes.size()));
    }
  }

 private:
  std::ofstream out_;
};

/// A small member, one of more than 4 GiB, and another small one.
Value large() {
  return Value::dict({{"first", 1},
                      {"large", Array<std::uint16_t>({2 * gib + gib / 4})},
                      {"last", Array<double>({3})}});
}

}  // namespace

TEST_CASE("members in zip64 records are read") {
  const TempDir dir;
  CHECK(python(dir.path(), R"(
import numpy as np, zipfile, io
class Pipe(io.RawIOBase):
    def __init__(self, f): self.f = f
    def writable(self): return True
    def seekable(self): return False
    def write(self, b): return self.f.write(b)
parts = dict(a=np.arange(5.), b=np.arange(3))
zipfile.ZIP64_LIMIT, zipfile.ZIP_FILECOUNT_LIMIT = 10, 1
np.savez('stored.npz', **parts)
np.savez_compressed('deflated.npz', **parts)
for name, save in ('pipe_stored', np.savez), ('pipe_deflated', np.savez_compressed):
    with open(name + '.npz', 'wb') as f:
        save(Pipe(f), **parts)
data = open('stored.npz', 'rb').read()
assert data.count(b'PK\6\6') == 1 and data.count(b'\xff' * 8) >= 4
)") == "");
  for (const char* name : {"stored.npz", "deflated.npz", "pipe_stored.npz", "pipe_deflated.npz"}) {
    CAPTURE(name);
    const Value value = load<Value>(dir / name);
    CHECK(value["a"].as_array<double>()[4] == 4);
    CHECK(value["b"].as_array<std::int64_t>()[2] == 2);
    const std::string bytes = support::slurp(dir / name);
    for (std::size_t n = 4; n < bytes.size(); n += 5) {
      support::spill(dir / "cut", bytes.substr(0, n));
      CHECK_THROWS_AS(load<Value>(dir / "cut"), hoist::DamagedData);
    }
  }
}

// Archives of more than 4096 members were written, but refused when they were read.
TEST_CASE("an archive of more members than 65,535") {
  const TempDir dir;
  std::map<std::string, int> numbers;
  for (int i = 0; i < 66000; ++i) numbers[std::to_string(i)] = i;
  dump(numbers, dir / "ours.npz");
  CHECK(load<std::map<std::string, int>>(dir / "ours.npz") == numbers);
  CHECK_THROWS_AS(load<Value>(dir / "ours.npz", {.limits = {.max_nodes = 65999}}),
                  hoist::LimitExceeded);
  CHECK(python(dir.path(), R"(
import numpy as np, zipfile, io
z = np.load('ours.npz')
assert len(z.files) == 66000 and z['65999'] == 65999
one = io.BytesIO()
np.save(one, np.int32(7))
with zipfile.ZipFile('theirs.npz', 'w') as f:
    for i in range(66000):
        f.writestr(f'{i}.npy', one.getvalue())
)") == "");
  const auto theirs = load<std::map<std::string, int>>(dir / "theirs.npz");
  CHECK(theirs.size() == 66000);
  CHECK(theirs.at("65999") == 7);
}

TEST_CASE("a member of more than 4 GiB, and one behind it" * doctest::skip(!support::extended)) {
  const TempDir dir;
  const auto path = dir / "large.npz";
  {
    SparseFile file(path);
    hoist::detail::formats::write_npz(file, large(), 0, 1);
  }
  hoist::detail::os::FileSource file(path);
  const hoist::detail::formats::ZipBytes zip(file, "archive");
  const auto members = hoist::detail::formats::zip_members(zip, 3);
  REQUIRE(members.size() == 3);
  CHECK(members[1].size == 128 + 4 * gib + gib / 2);
  CHECK(members[2].offset > members[1].size);
  CHECK(zip.text(members[2].offset, 6) == hoist::detail::formats::npy_magic);
  CHECK(python(dir.path(), R"(
import numpy as np, zipfile
with zipfile.ZipFile('large.npz') as z:
    infos = z.infolist()
    assert [i.filename for i in infos] == ['first.npy', 'large.npy', 'last.npy']
    assert infos[1].file_size == infos[1].compress_size == 128 + (9 << 29), infos[1]
    assert infos[2].header_offset > infos[1].file_size
z = np.load('large.npz')
assert z['first'] == 1 and z['last'].tolist() == [0, 0, 0]
with z.zip.open('large.npy') as f:
    assert np.lib.format.read_magic(f) == (1, 0)
    assert np.lib.format.read_array_header_1_0(f) == ((9 << 28,), False, np.dtype('u2'))
)") == "");
}

TEST_CASE("more than 4 GiB there and back" *
          doctest::skip(!support::extended || support::sanitized)) {
  const TempDir dir;
  for (const bool compress : {false, true}) {
    CAPTURE(compress);
    {
      const Value value = large();
      dump(value, dir / "ours.npz", {.compress = {compress}});
    }
    CHECK(python(dir.path(), R"(
import numpy as np
z = np.load('ours.npz')
a = z['large']
assert a.shape == (9 << 28,) and not a.any() and z['last'].tolist() == [0, 0, 0]
(np.savez_compressed if )" + std::string(compress ? "True" : "False") +
                                 R"( else np.savez)(
    'theirs.npz', first=1, large=a, last=np.zeros(3))
)") == "");
    for (const char* name : {"ours.npz", "theirs.npz"}) {
      CAPTURE(name);
      const Value value = load<Value>(dir / name, {.limits = {.max_bytes = 8 * gib}});
      CHECK(value["large"].size() == 9 * (gib / 4));
      CHECK(value["last"].size() == 3);
    }
  }
}

// Members were deflated on one thread.
TEST_CASE("deflated members of many chunks") {
  const TempDir dir;
  Array<std::int32_t> numbers({3, std::size_t{1} << 20});
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<int>(i * i % 1000);
  using Numbers = std::map<std::string, Array<std::int32_t>>;
  const Numbers value{{"a", numbers}, {"b", numbers}};
  dump(value, dir / "one.npz", {.compress = true, .threads = 1});
  dump(value, dir / "ours.npz", {.compress = true, .threads = 3});
  const std::string bytes = support::slurp(dir / "ours.npz");
  CHECK(bytes == support::slurp(dir / "one.npz"));
  CHECK(python(dir.path(), R"(
import numpy as np, zipfile
i = np.arange(3 << 20)
want = (i * i % 1000).astype('i4').reshape(3, -1)
z = np.load('ours.npz')
assert z.files == ['a', 'b'] and (z['a'] == want).all() and (z['b'] == want).all()
assert zipfile.ZipFile('ours.npz').testzip() is None
np.savez_compressed('theirs.npz', a=want, b=want)
)") == "");
  for (const char* name : {"ours.npz", "theirs.npz"}) {
    for (const unsigned threads : {1U, 3U}) {
      CHECK(load<Numbers>(dir / name, {.threads = threads}) == value);
    }
  }
  for (std::size_t at = 50; at < bytes.size(); at += bytes.size() / 40) {
    std::string changed = bytes;
    changed[at] ^= 0x10;
    support::spill(dir / "changed.npz", changed);
    CHECK_THROWS_AS(load<Numbers>(dir / "changed.npz"), hoist::DamagedData);
  }
}
