// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/array.hpp>
#include <hoist/codec.hpp>
#include <hoist/dump.hpp>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "support/bytes.hpp"
#include "support/temp_dir.hpp"

using hoist::Codec;

namespace {

/// Inverts all bits: the smallest possible codec.
class Inverting final : public Codec {
 public:
  explicit Inverting(std::string magic, std::string extension)
      : magic_(std::move(magic)), extension_(std::move(extension)) {}
  std::string_view extension() const override { return extension_; }
  std::string_view magic() const override { return magic_; }

  std::unique_ptr<hoist::ByteSink> compressor(hoist::ByteSink& out, int, unsigned) const override {
    class Sink final : public hoist::ByteSink {
     public:
      Sink(hoist::ByteSink& to, const std::string& magic) : to_(to) {
        to_.write(support::as_bytes(magic));
      }
      void write(std::span<const std::byte> bytes) override {
        for (const std::byte byte : bytes) {
          const std::byte inverted = ~byte;
          to_.write({&inverted, 1});
        }
      }

     private:
      hoist::ByteSink& to_;
    };
    return std::make_unique<Sink>(out, magic_);
  }
  std::unique_ptr<hoist::ByteSource> decompressor(hoist::ByteSource& in, unsigned) const override {
    class Source final : public hoist::ByteSource {
     public:
      Source(hoist::ByteSource& from, std::size_t magic) : from_(from) {
        std::vector<std::byte> skipped(magic);
        from_.read(skipped.data(), magic);
      }
      std::size_t read(std::byte* to, std::size_t n) override {
        n = from_.read(to, n);
        for (std::size_t i = 0; i < n; ++i) to[i] = ~to[i];
        return n;
      }

     private:
      hoist::ByteSource& from_;
    };
    return std::make_unique<Source>(in, magic_.size());
  }

 private:
  std::string magic_;
  std::string extension_;
};

auto inverting(const std::string& magic, const std::string& extension = "") {
  return std::make_shared<Inverting>(magic, extension);
}

}  // namespace

TEST_CASE("a user's codec works by name, by extension and inside the container") {
  hoist::register_codec("invert", inverting("INV1", ".inv"));
  const support::TempDir dir;
  const auto value = std::vector<double>(10'000, 2.5);
  hoist::dump(value, dir / "a.inv");
  CHECK(support::slurp(dir / "a.inv").starts_with("INV1"));
  CHECK(hoist::load<std::vector<double>>(dir / "a.inv") == value);
  hoist::dump(value, dir / "a.hoist", {.compress = "invert"});
  CHECK(hoist::load<std::vector<double>>(dir / "a.hoist") == value);
}

TEST_CASE("codecs that could not be told apart are refused") {
  const auto refused = [](const std::string& name, const std::shared_ptr<const Codec>& codec) {
    CHECK_THROWS_AS(hoist::register_codec(name, codec), hoist::BadArgument);
  };
  hoist::register_codec("first", inverting("FIRST"));
  refused("first", inverting("OTHER"));
  refused("second", inverting("FIRST"));
  refused("second", inverting("FIRST and more"));
  refused("second", inverting("FI"));
  refused("second", inverting(""));
  refused("second", inverting("\x1f\x8b"));
  refused("second", inverting("\x80\x04"));
  refused("second", inverting("\x93NUMPY"));
  refused("second", inverting("PK\x03\x04"));
  refused("second", inverting("SECOND", ".gz"));
  refused("gzip", inverting("SECOND"));
  refused("", inverting("SECOND"));
  refused("a name longer than sixteen", inverting("SECOND"));
  refused("second", nullptr);
  CHECK_THROWS_WITH_AS(hoist::find_codec("lzw"), doctest::Contains("zstd"), hoist::BadArgument);
}

TEST_CASE("codecs are registered and looked up by many threads") {
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < 20; ++i) {
        std::string name = std::to_string(t);
        name.append("-").append(std::to_string(i));
        std::string magic = "<";
        magic.append(name).append(">");
        hoist::register_codec(name, inverting(magic));
        CHECK(hoist::codec_name(hoist::find_codec(name)) == name);
        CHECK(hoist::codec_for_content(support::as_bytes(magic.append("..."))) != nullptr);
      }
    });
  }
}
