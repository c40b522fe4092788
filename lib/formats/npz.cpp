// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>

#include <libdeflate.h>

#include <algorithm>
#include <memory>
#include <set>

#include "base/byte_streams.hpp"
#include "base/expansion.hpp"
#include "codecs/bare_deflate.hpp"
#include "codecs/builtin.hpp"
#include "formats/npy.hpp"
#include "formats/zip.hpp"
#include "os/run_parallel.hpp"

namespace hoist::detail::formats {

namespace {

using Kind = Value::Kind;

std::uint32_t crc_of(std::span<const std::byte> bytes, std::uint32_t before = 0) {
  // libdeflate takes an empty span's address, if it is null, for a new start.
  return bytes.empty() ? before : libdeflate_crc32(before, bytes.data(), bytes.size());
}

/// The bytes of a member as they lie in the archive.
class StoredSource final : public ByteSource {
 public:
  StoredSource(const ZipBytes& zip, const ZipMember& member)
      : zip_(zip), at_(member.offset), end_(member.offset + member.stored) {}
  std::size_t read(std::byte* to, std::size_t n) override {
    n = static_cast<std::size_t>(std::min<std::uint64_t>(n, end_ - at_));
    zip_.read(at_, to, n);
    at_ += n;
    return n;
  }
  std::optional<std::uint64_t> left() const override { return end_ - at_; }

 private:
  const ZipBytes& zip_;
  std::uint64_t at_;
  std::uint64_t end_;
};

/// The content of one member, decompressed on the way and checked at its end.
class MemberSource final : public ByteSource {
 public:
  MemberSource(const ZipBytes& zip, const ZipMember& member, unsigned threads)
      : zip_(zip), member_(member), stored_(zip, member) {
    if (member.method == ZipMethod::deflated) {
      decompressed_ = codecs::bare_inflater(stored_, threads);
    } else if (member.method == ZipMethod::bzip2) {
      decompressed_ = codecs::bz2_codec().decompressor(stored_, threads);
    }
  }

  std::size_t read(std::byte* to, std::size_t n) override {
    n = static_cast<std::size_t>(std::min<std::uint64_t>(n, member_.size - done_));
    if (n == 0) return 0;
    if (content().read(to, n) != n) zip_.damaged("a member is shorter than its size says");
    crc_ = crc_of({to, n}, crc_);
    done_ += n;
    if (done_ == member_.size && crc_ != member_.crc) zip_.damaged("a member's content is changed");
    return n;
  }
  std::optional<std::uint64_t> left() const override { return member_.size - done_; }

  /// True if the compressed data end where the content does.
  bool ended() {
    std::byte beyond;
    return content().read(&beyond, 1) == 0;
  }

 private:
  ByteSource& content() { return decompressed_ ? *decompressed_ : stored_; }

  const ZipBytes& zip_;
  const ZipMember& member_;
  StoredSource stored_;
  std::unique_ptr<ByteSource> decompressed_;
  std::uint64_t done_ = 0;
  std::uint32_t crc_ = 0;
};

/// The value's parts, each under the name of its member.
std::vector<std::pair<std::string, NpyArray>> members_of(const Value& value) {
  std::vector<std::pair<std::string, NpyArray>> members;
  const auto add = [&](std::string name, const Value& part) {
    NpyArray array(part, "\"" + name + "\"");
    members.emplace_back(std::move(name), std::move(array));
  };
  if (value.kind() == Kind::dict) {
    for (const auto& [key, part] : value.entries()) {
      if (key.kind() != Kind::text) {
        throw BadArgument("the members of a .npz are named by text, not by " + key.kind_name());
      }
      add(std::string(key.as_text()), part);
    }
  } else if (value.kind() == Kind::tuple || value.kind() == Kind::list) {
    for (std::size_t i = 0; i < value.size(); ++i) add("arr_" + std::to_string(i), value[i]);
  } else {
    add("arr_0", value);
  }
  std::set<std::string_view> names;
  for (const auto& [name, array] : members) {
    if (!names.insert(name).second) {
      throw BadArgument("two members of the .npz would be called \"" + name + "\"");
    }
  }
  return members;
}

/// The type that a member is for; null where that is not known.
const dynamic::SchemaNode* wanted_for(const dynamic::SchemaNode* all, const std::string& name) {
  if (all == nullptr) return nullptr;
  switch (all->kind) {
    case dynamic::SchemaNode::Kind::structure:
      for (std::size_t i = 0; i < all->names.size(); ++i) {
        if (all->names[i] == name) return &all->part(i);
      }
      return nullptr;
    case dynamic::SchemaNode::Kind::map: return &all->part(1);
    case dynamic::SchemaNode::Kind::list:
    case dynamic::SchemaNode::Kind::fixed_list: return &all->part(0);
    case dynamic::SchemaNode::Kind::tuple:
    case dynamic::SchemaNode::Kind::object:
      for (std::size_t i = 0; i < all->parts.size(); ++i) {
        if ("arr_" + std::to_string(i) == name) return &all->part(i);
      }
      return nullptr;
    default: return all;  // a single one
  }
}

bool begins_with(base::PeekableSource& source, std::string_view text) {
  const auto first = source.peek(text.size());
  return std::ranges::equal(first, std::as_bytes(std::span(text)));
}

Value read_members(const ZipBytes& zip, const NpzReading& reading) {
  const LoadOptions& options = reading.options;
  std::vector<Value::Entry> entries;
  std::uint64_t total = 0;
  const std::uint64_t most = std::max(options.limits.max_bytes, base::expanded(zip.size()));
  const unsigned threads = os::transfer_threads(options.threads);
  for (const ZipMember& member : zip_members(zip, options.limits.max_nodes)) {
    if (member.size > most - total) {
      throw LimitExceeded(zip.name() +
                          ": its members have more bytes than "
                          "LoadOptions::limits.max_bytes allows");
    }
    total += member.size;
    MemberSource source(zip, member, threads);
    LoadOptions inner = options;
    inner.mmap = MmapMode::none;
    const bool is_npy = member.name.ends_with(".npy");
    const std::string key = member.name.substr(0, member.name.size() - (is_npy ? 4 : 0));
    base::PeekedSource peeked(source);
    Input input(peeked, nullptr, zip.name() + ", member " + Value(key).to_string(80), inner, most);
    // As np.load has it: of other files in the archive the bytes.
    if (!is_npy && !begins_with(peeked, npy_magic)) {
      entries.emplace_back(key, Value::bytes(input.text(static_cast<std::size_t>(member.size))));
      continue;
    }
    Value array = read_npy(input, reading.read_objects, wanted_for(reading.wanted, key));
    if (!input.at_end() || !source.ended()) input.damaged("there are bytes behind its array");
    entries.emplace_back(key, std::move(array));
  }
  return Value::dict(std::move(entries));
}

}  // namespace

void write_npz(ByteSink& out, const Value& value, int level, unsigned threads) {
  ZipWriter zip(out);
  for (const auto& [name, array] : members_of(value)) {
    const std::string preamble = npy_preamble(array.header());
    const auto head = std::as_bytes(std::span(preamble));
    ZipMember member{.name = name + ".npy",
                     .method = level > 0 ? ZipMethod::deflated : ZipMethod::stored};
    member.size = member.stored = head.size() + array.bytes();
    // Stands in front of the data.
    member.crc = crc_of(head);
    array.each_piece(
        [&](std::span<const std::byte> piece) { member.crc = crc_of(piece, member.crc); });
    zip.begin(member);
    base::CountingSink sink(out);
    const auto packed = level > 0 ? codecs::bare_deflater(sink, level, threads) : nullptr;
    ByteSink& to = packed ? *packed : sink;
    to.write(head);
    array.each_piece([&](std::span<const std::byte> piece) { to.write(piece); });
    to.finish();
    zip.end(member.crc, sink.count());
  }
  zip.finish();
}

Value read_npz(os::FileSource& file, const NpzReading& reading) {
  return read_members(ZipBytes(file, reading.name), reading);
}
Value read_npz(std::string_view bytes, const NpzReading& reading) {
  return read_members(ZipBytes(bytes, reading.name), reading);
}

}  // namespace hoist::detail::formats
