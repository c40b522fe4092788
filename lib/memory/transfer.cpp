// SPDX-License-Identifier: BSD-3-Clause
//
// Entries from one store to another, and to and from archives.

#include <hoist/codec.hpp>
#include <hoist/error.hpp>
#include <hoist/memory.hpp>

#include <algorithm>
#include <array>

#include "base/byte_streams.hpp"
#include "base/quoted.hpp"
#include "codecs/open.hpp"
#include "formats/tar.hpp"
#include "memory/entry.hpp"
#include "memory/listing.hpp"
#include "memory/memory_core.hpp"
#include "os/atomic_file.hpp"
#include "os/run_parallel.hpp"

namespace hoist {

namespace detail::memory {

namespace {

constexpr std::string_view entry_extension = ".hoist";

/// The next bytes of a source, as many as a member of an archive has.
class PartSource final : public ByteSource {
 public:
  PartSource(ByteSource& in, std::uint64_t bytes) : in_(in), left_(bytes) {}
  std::size_t read(std::byte* to, std::size_t n) override {
    const std::size_t got =
        in_.read(to, static_cast<std::size_t>(std::min<std::uint64_t>(n, left_)));
    left_ -= got;
    return got;
  }
  std::optional<std::uint64_t> left() const override { return left_; }
  /// Reads the rest. False if the source ends before.
  bool skip() {
    std::array<std::byte, 16384> buffer;
    while (left_ > 0) {
      if (read(buffer.data(), buffer.size()) == 0) return false;
    }
    return true;
  }

 private:
  ByteSource& in_;
  std::uint64_t left_;
};

/// Puts one entry, unless it is there or damaged, and keeps the store within its limits.
void add_entry(const MemoryCore& core, const std::string& name, ByteSource& from,
               TransferCounts& counts) {
  StoreBackend& store = *core.store();
  if (store.contains(name)) {
    ++counts.present;
    return;
  }
  std::uint64_t bytes = 0;
  try {
    store.put(name, [&](ByteSink& out) {
      base::CountingSink counted(out);
      copy_entry(from, counted, name);
      bytes = counted.count();
    });
  } catch (const DamagedData&) {
    ++counts.damaged;
    return;
  } catch (const BadArgument&) {  // compressed by a method that this program doesn't know
    ++counts.damaged;
    return;
  }
  ++counts.items;
  counts.bytes += bytes;
  if (Evictor* evictor = core.evictor()) evictor->stored(store);
}

/// The entry that a member of an archive is, in whatever directory the cache lies there; empty for
/// all else that a cache directory has, and for what isn't of one. No part begins with a dot, so
/// that no name leads elsewhere.
std::string entry_of(std::string_view member) {
  if (!member.ends_with(entry_extension)) return {};
  member.remove_suffix(entry_extension.size());
  std::size_t slash = member.size();
  for (int i = 0; i < 4 && slash != std::string_view::npos; ++i) {
    slash = slash == 0 ? std::string_view::npos : member.rfind('/', slash - 1);
  }
  if (slash != std::string_view::npos) member.remove_prefix(slash + 1);
  if (member.size() > 255 || std::ranges::count(member, '/') != 3) return {};
  bool begins_part = true;
  for (const char c : member) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || (c == '.' && !begins_part);
    if (c != '/' && !plain) return {};
    if (c == '/' && begins_part) return {};
    begins_part = c == '/';
  }
  return begins_part ? std::string() : std::string(member);
}

void check_target(const MemoryCore& core, const char* what) {
  core.check_writable(what);
  if (core.store() == nullptr) {
    throw BadArgument(std::string(what) + ": the Memory has no location to store entries in");
  }
}

}  // namespace

}  // namespace detail::memory

TransferCounts Memory::merge(const Memory& from, const EntryFilter& filter) const {
  detail::memory::check_target(*core_, "Memory::merge");
  TransferCounts counts;
  if (from.core_->store() == nullptr) return counts;
  StoreBackend& other = *from.core_->store();
  detail::memory::Listing(other, filter).visit([&](const StoreItem& item) {
    const auto entry = other.peek(item.name);
    if (entry) detail::memory::add_entry(*core_, item.name, entry->bytes(), counts);
  });
  return counts;
}

TransferCounts Memory::export_to(const std::filesystem::path& archive,
                                 const EntryFilter& filter) const {
  TransferCounts counts;
  detail::os::AtomicFile file(archive);
  std::unique_ptr<ByteSink> stream;
  if (const Codec* codec = codec_for_extension(archive))
    stream = codec->compressor(file, 3, detail::os::transfer_threads(0));
  ByteSink& out = stream ? *stream : file;
  if (StoreBackend* store = core_->store()) {
    std::vector<std::byte> buffer(std::size_t{1} << 18);
    detail::memory::Listing(*store, filter).visit([&](const StoreItem& item) {
      const auto entry = store->peek(item.name);
      if (!entry) return;
      const std::uint64_t bytes = entry->size();
      detail::formats::write_tar_head(
          out, {.name = item.name + std::string(detail::memory::entry_extension), .bytes = bytes});
      for (std::uint64_t left = bytes; left > 0;) {
        const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(left, buffer.size()));
        const std::size_t got = entry->bytes().read(buffer.data(), wanted);
        if (got == 0) throw DamagedData("the entry " + item.name + " was cut while it was read");
        out.write(std::span(buffer).first(got));
        left -= got;
      }
      detail::formats::write_tar_padding(out, bytes);
      ++counts.items;
      counts.bytes += bytes;
    });
  }
  detail::formats::write_tar_end(out);
  if (stream) stream->finish();
  file.commit();
  return counts;
}

TransferCounts Memory::import_from(const std::filesystem::path& archive) const {
  detail::memory::check_target(*core_, "Memory::import_from");
  const std::string name = detail::base::quoted(archive);
  detail::os::FileSource file(archive);
  std::unique_ptr<ByteSource> content;
  if (const Codec* codec = detail::codecs::codec_of(file))
    content = codec->decompressor(file, detail::os::transfer_threads(0));
  ByteSource& in = content ? *content : file;
  TransferCounts counts;
  while (const auto member = detail::formats::read_tar_head(in, name)) {
    detail::memory::PartSource bytes(in, member->bytes);
    const std::string entry = member->is_file ? detail::memory::entry_of(member->name) : "";
    if (!entry.empty()) detail::memory::add_entry(*core_, entry, bytes, counts);
    detail::memory::PartSource padding(
        in, (detail::formats::tar_block - member->bytes % detail::formats::tar_block) %
                detail::formats::tar_block);
    if (!bytes.skip() || !padding.skip()) throw DamagedData(name + " is cut short");
  }
  return counts;
}

}  // namespace hoist
