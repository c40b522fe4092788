// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/codec.hpp>
#include <hoist/error.hpp>

#include <array>
#include <cstring>

#include "base/file.hpp"
#include "codecs/builtin.hpp"

namespace hoist {

namespace {

std::span<const Codec* const> codecs() {
  static const std::array<const Codec*, 2> all{&detail::gzip_codec(), &detail::zstd_codec()};
  return all;
}

}  // namespace

Codec::~Codec() = default;

const Codec& find_codec(std::string_view name) {
  std::string known;
  for (const Codec* codec : codecs()) {
    if (codec->name() == name) return *codec;
    known += (known.empty() ? "" : ", ") + std::string(codec->name());
  }
  throw BadArgument("no compression method is called \"" + std::string(name) + "\"; there are " +
                    known);
}

const Codec* codec_for_extension(const std::filesystem::path& path) {
  const std::string extension = path.extension().string();
  for (const Codec* codec : codecs()) {
    if (codec->extension() == extension) return codec;
  }
  return nullptr;
}

const Codec* codec_for_content(std::span<const std::byte> first_bytes) {
  for (const Codec* codec : codecs()) {
    const std::string_view magic = codec->magic();
    if (first_bytes.size() >= magic.size() &&
        std::memcmp(first_bytes.data(), magic.data(), magic.size()) == 0) {
      return codec;
    }
  }
  return nullptr;
}

std::string read_file(const std::filesystem::path& path) {
  detail::FileSource file(path);
  ByteSource* source = &file;
  std::unique_ptr<ByteSource> decompressed;
  if (const Codec* codec = codec_for_content(file.peek(16))) {
    decompressed = codec->decompressor(file);
    source = decompressed.get();
  }
  constexpr std::size_t step = std::size_t{256} << 10;
  std::string content;
  for (std::size_t used = 0;;) {
    content.resize(used + step);
    const std::size_t got =
        source->read(reinterpret_cast<std::byte*>(content.data() + used), step);
    used += got;
    if (got < step) {
      content.resize(used);
      return content;
    }
  }
}

}  // namespace hoist
