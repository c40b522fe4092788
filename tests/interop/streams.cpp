// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/codec.hpp>
#include <hoist/error.hpp>

#include <cstdlib>
#include <string>
#include <vector>

#include "support/bytes.hpp"
#include "support/python.hpp"
#include "support/temp_dir.hpp"

using support::sample_bytes;

// The standard tools and Python read hoist's streams, and hoist reads theirs.

namespace {

constexpr std::size_t mib = std::size_t{1} << 20;

struct Tool {
  std::string codec;
  std::string extension;
  std::string test;      // accepts the file that follows
  std::string compress;  // from standard input to standard output
};

const std::vector<Tool> tools{
    {"gzip", ".gz", "gzip -t", "gzip -5"},      {"gzip", ".gz", "pigz -t", "pigz -p 2"},
    {"bz2", ".bz2", "bzip2 -t", "bzip2 -2"},    {"xz", ".xz", "xz -t", "xz -1 -T2"},
    {"lzma", ".lzma", "xz -t", "xz -1 -Flzma"}, {"lz4", ".lz4", "lz4 -tq", "lz4 -q"},
    {"lz4", ".lz4", "lz4 -tq", "lz4 -q -BD"},   {"zstd", ".zst", "zstd -tq", "zstd -q -T2"},
    {"zlib", ".z", "true", "pigz -z"},
};

bool run(const std::string& command) { return std::system(command.c_str()) == 0; }

// Reads with Python's own module, then with joblib's reader of compressed files.
const char* const read_twice = R"(
import zlib, gzip, bz2, lzma, hashlib
from joblib.compressor import _COMPRESSORS
import lz4.frame
plain = {
    'zlib': lambda f: zlib.decompress(f.read()), 'gzip': lambda f: gzip.GzipFile(fileobj=f).read(),
    'bz2': lambda f: bz2.BZ2File(f).read(), 'lzma': lambda f: lzma.LZMAFile(f).read(),
    'xz': lambda f: lzma.LZMAFile(f).read(), 'lz4': lambda f: lz4.frame.LZ4FrameFile(f).read()}
with open('f', 'rb') as f:
    assert hashlib.sha256(plain[name](f)).hexdigest() == want, 'module'
with open('f', 'rb') as f:
    data = b''
    with _COMPRESSORS[name].decompressor_file(f) as g:
        while True:
            part = g.read(100000)
            if not part: break
            data += part
    assert hashlib.sha256(data).hexdigest() == want, 'joblib'
)";

std::string sha256(const support::TempDir& dir, const std::string& text) {
  support::spill(dir / "sum.in", text);
  run("sha256sum < " + (dir / "sum.in").string() + " > " + (dir / "sum.out").string());
  return support::slurp(dir / "sum.out").substr(0, 64);
}

}  // namespace

TEST_CASE("the standard tools accept what hoist writes, and hoist what they write") {
  const support::TempDir dir;
  for (const std::string& text :
       {std::string(), std::string("short"), sample_bytes('t', mib + mib / 2)}) {
    support::spill(dir / "plain", text);
    for (const Tool& tool : tools) {
      CAPTURE(tool.test);
      CAPTURE(text.size());
      const hoist::Codec& codec = hoist::find_codec(tool.codec);
      const auto path = dir / ("f" + tool.extension);
      support::spill(path, support::compress(codec, text, 2));
      CHECK(run(tool.test + " " + path.string()));
      const auto theirs = dir / "theirs";
      REQUIRE(run(tool.compress + " < " + (dir / "plain").string() + " > " + theirs.string()));
      const std::string packed = support::slurp(theirs);
      CHECK(hoist::codec_for_content(support::as_bytes(packed).first(
                std::min<std::size_t>(64, packed.size()))) == &codec);
      CHECK((support::decompress(codec, packed) == text));
    }
  }
}

TEST_CASE("python and joblib read every codec's streams") {
  const support::TempDir dir;
  for (const std::string& text : {std::string("short"), sample_bytes('t', mib + mib / 2)}) {
    const std::string sum = sha256(dir, text);
    for (const char* name : {"zlib", "gzip", "bz2", "lzma", "xz", "lz4"}) {
      CAPTURE(name);
      CAPTURE(text.size());
      support::spill(dir / "f", support::compress(hoist::find_codec(name), text, 2));
      const std::string values = "name, want = '" + std::string(name) + "', '" + sum + "'\n";
      CHECK(support::python(dir.path(), values + read_twice) == "");
    }
  }
}
