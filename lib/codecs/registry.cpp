// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/codec.hpp>
#include <hoist/error.hpp>

#include <algorithm>
#include <cstring>
#include <deque>
#include <mutex>

#include "base/byte_streams.hpp"
#include "codecs/builtin.hpp"
#include "codecs/open.hpp"
#include "os/file.hpp"
#include "os/fork_hook.hpp"

namespace hoist {

namespace {

struct Entry {
  std::string name;
  std::shared_ptr<const Codec> codec;
};

struct Registry {
  std::mutex mutex;
  std::deque<Entry> entries;  // grows only, and never moves what it holds

  Registry() {
    const auto add = [&](const char* name, const Codec& codec) {
      entries.push_back({name, std::shared_ptr<const Codec>(&codec, [](const Codec*) {})});
    };
    add("zlib", detail::codecs::zlib_codec());
    add("gzip", detail::codecs::gzip_codec());
    add("bz2", detail::codecs::bz2_codec());
    add("lzma", detail::codecs::lzma_codec());
    add("xz", detail::codecs::xz_codec());
    add("lz4", detail::codecs::lz4_codec());
    add("zstd", detail::codecs::zstd_codec());
  }

  detail::os::ForkHook fork_hook{mutex};
};

// Never destroyed: values may be dumped and loaded by other objects' destructors.
Registry& registry() {
  static Registry* const instance = new Registry;
  return *instance;
}

template <class Matches>
const Entry* find_entry(const Matches& matches) {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  const auto at = std::find_if(all.entries.begin(), all.entries.end(), matches);
  return at == all.entries.end() ? nullptr : &*at;
}

bool one_begins_the_other(std::string_view a, std::string_view b) {
  return a.starts_with(b) || b.starts_with(a);
}

/// What other formats begin with: a hoist container, npy, zip, a pickle.
constexpr std::string_view reserved[] = {"\x89HOIST", "\x93NUMPY", "PK", "\x80"};

}  // namespace

Codec::~Codec() = default;

bool Codec::recognises(std::span<const std::byte> first_bytes) const {
  const std::string_view wanted = magic();
  return first_bytes.size() >= wanted.size() &&
         std::memcmp(first_bytes.data(), wanted.data(), wanted.size()) == 0;
}

void Codec::compress_block(std::span<const std::byte> block, int level,
                           std::vector<std::byte>& out) const {
  out.clear();
  detail::base::VectorSink sink(out);
  const auto stream = compressor(sink, level, 1);
  stream->write(block);
  stream->finish();
}

void Codec::decompress_block(std::span<const std::byte> block, std::span<std::byte> to) const {
  detail::base::SpanSource source(block);
  const auto stream = decompressor(source, 1);
  std::byte beyond;
  if (stream->read(to.data(), to.size()) != to.size() || stream->read(&beyond, 1) != 0) {
    throw DamagedData("a compressed block has another size than it says");
  }
}

std::optional<std::uint64_t> Codec::most_from(std::uint64_t /*compressed*/) const {
  return std::nullopt;
}

void register_codec(const std::string& name, std::shared_ptr<const Codec> codec) {
  const std::string what = "register_codec(\"" + name + "\"): ";
  if (codec == nullptr) throw BadArgument(what + "the codec is null");
  if (name.empty() || name.size() > 16) throw BadArgument(what + "a name has 1 to 16 characters");
  const std::string_view magic = codec->magic();
  if (magic.empty()) {
    throw BadArgument(what + "its magic is empty: files of it could not be recognised");
  }
  if (magic.size() > 16) throw BadArgument(what + "its magic is longer than 16 bytes");
  for (const std::string_view format : reserved) {
    if (one_begins_the_other(format, magic)) {
      throw BadArgument(what + "its magic is, or begins, that of a file format hoist reads");
    }
  }
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  for (const Entry& entry : all.entries) {
    if (entry.name == name) throw BadArgument(what + "the name is taken");
    if (one_begins_the_other(entry.codec->magic(), magic)) {
      throw BadArgument(what + "its magic could be mistaken for that of " + entry.name);
    }
    if (!codec->extension().empty() && entry.codec->extension() == codec->extension()) {
      throw BadArgument(what + "the extension " + std::string(codec->extension()) + " belongs to " +
                        entry.name);
    }
  }
  all.entries.push_back({name, std::move(codec)});
}

const Codec& find_codec(std::string_view name) {
  if (const Entry* entry = find_entry([&](const Entry& e) { return e.name == name; })) {
    return *entry->codec;
  }
  std::string known;
  find_entry([&](const Entry& e) {
    known += (known.empty() ? "" : ", ") + e.name;
    return false;
  });
  throw BadArgument("no compression method is called \"" + std::string(name) + "\"; there are " +
                    known);
}

std::string codec_name(const Codec& codec) {
  const Entry* entry = find_entry([&](const Entry& e) { return e.codec.get() == &codec; });
  return entry != nullptr ? entry->name : std::string();
}

const Codec* codec_for_extension(const std::filesystem::path& path) {
  const std::string extension = path.extension().string();
  if (extension.empty()) return nullptr;
  const Entry* entry =
      find_entry([&](const Entry& e) { return e.codec->extension() == extension; });
  return entry != nullptr ? entry->codec.get() : nullptr;
}

const Codec* codec_for_content(std::span<const std::byte> first_bytes) {
  const Entry* entry = find_entry([&](const Entry& e) { return e.codec->recognises(first_bytes); });
  return entry != nullptr ? entry->codec.get() : nullptr;
}

std::string read_file(const std::filesystem::path& path) {
  detail::os::FileSource file(path);
  ByteSource* source = &file;
  std::unique_ptr<ByteSource> decompressed;
  if (const Codec* codec = detail::codecs::codec_of(file)) {
    decompressed = detail::codecs::open_compressed(*codec, file, {}, 0);
    source = decompressed.get();
  }
  constexpr std::size_t step = std::size_t{256} << 10;
  std::string content;
  for (std::size_t used = 0;;) {
    content.resize(used + step);
    const std::size_t got = source->read(reinterpret_cast<std::byte*>(content.data() + used), step);
    used += got;
    if (got < step) {
      content.resize(used);
      return content;
    }
  }
}

}  // namespace hoist
