// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>

#include <libdeflate.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <set>

#include "dynamic/elements.hpp"
#include "formats/npy.hpp"
#include "formats/zip.hpp"

namespace hoist::detail {

namespace {

using Kind = Value::Kind;

Bytef* as_zlib(const std::byte* data) {
  return const_cast<Bytef*>(reinterpret_cast<const Bytef*>(data));
}

/// Counts and sums what passes; deflates it where asked.
class MemberSink final : public ByteSink {
 public:
  MemberSink(ByteSink& out, int level) : out_(out), deflating_(level > 0) {
    // Negative window bits: no wrapper round the deflated data.
    if (deflating_ &&
        deflateInit2(&stream_, level, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
      throw std::bad_alloc();
    }
  }
  ~MemberSink() override {
    if (deflating_) deflateEnd(&stream_);
  }
  void write(std::span<const std::byte> bytes) override {
    if (bytes.empty()) return;  // whose address may be null, which libdeflate takes for a new start
    crc_ = libdeflate_crc32(crc_, bytes.data(), bytes.size());
    size_ += bytes.size();
    if (!deflating_) {
      out_.write(bytes);
      stored_ += bytes.size();
      return;
    }
    constexpr std::size_t most = std::size_t{1} << 30;  // zlib counts in 32 bits
    while (!bytes.empty()) {
      const auto piece = bytes.first(std::min(bytes.size(), most));
      stream_.next_in = as_zlib(piece.data());
      stream_.avail_in = static_cast<uInt>(piece.size());
      run(Z_NO_FLUSH);
      bytes = bytes.subspan(piece.size());
    }
  }
  void finish() override {
    if (deflating_) run(Z_FINISH);
  }
  std::uint32_t crc() const { return crc_; }
  std::uint64_t size() const { return size_; }
  std::uint64_t stored() const { return stored_; }

 private:
  void run(int flush) {
    int state = Z_OK;
    do {
      stream_.next_out = as_zlib(buffer_);
      stream_.avail_out = sizeof buffer_;
      state = deflate(&stream_, flush);
      const std::size_t n = sizeof buffer_ - stream_.avail_out;
      out_.write({buffer_, n});
      stored_ += n;
    } while (flush == Z_FINISH ? state != Z_STREAM_END : stream_.avail_out == 0);
  }

  ByteSink& out_;
  bool deflating_;
  z_stream stream_{};
  std::uint32_t crc_ = 0;
  std::uint64_t size_ = 0;
  std::uint64_t stored_ = 0;
  std::byte buffer_[std::size_t{32} << 10];
};

/// The bytes of one member, inflated on the way and checked at its end.
class MemberSource final : public ByteSource {
 public:
  MemberSource(const ZipBytes& zip, const ZipMember& member) : zip_(zip), member_(member) {
    if (member.deflated && inflateInit2(&stream_, -15) != Z_OK) throw std::bad_alloc();
  }
  ~MemberSource() override {
    if (member_.deflated) inflateEnd(&stream_);
  }

  std::size_t read(std::byte* to, std::size_t n) override {
    n = static_cast<std::size_t>(std::min<std::uint64_t>(n, member_.size - done_));
    if (n == 0) return 0;
    if (member_.deflated) {
      inflate_to(to, n);
    } else {
      zip_.read(member_.offset + done_, to, n);
    }
    crc_ = libdeflate_crc32(crc_, to, n);
    done_ += n;
    if (done_ == member_.size && crc_ != member_.crc) zip_.damaged("a member's content is changed");
    return n;
  }
  std::optional<std::uint64_t> left() const override { return member_.size - done_; }

  /// True if the compressed data end where the content does.
  bool ended() {
    if (!member_.deflated) return true;
    if (state_ != Z_STREAM_END) {
      std::byte beyond;
      stream_.next_out = as_zlib(&beyond);
      stream_.avail_out = 1;
      step();
      if (stream_.avail_out == 0) return false;
    }
    return state_ == Z_STREAM_END && taken_ == member_.stored && stream_.avail_in == 0;
  }

 private:
  void step() {
    if (stream_.avail_in == 0) {
      const auto n = std::min<std::uint64_t>(sizeof buffer_, member_.stored - taken_);
      zip_.read(member_.offset + taken_, buffer_, static_cast<std::size_t>(n));
      taken_ += n;
      stream_.next_in = as_zlib(buffer_);
      stream_.avail_in = static_cast<uInt>(n);
    }
    state_ = inflate(&stream_, Z_NO_FLUSH);
    if (state_ != Z_OK && state_ != Z_STREAM_END)
      zip_.damaged("a member's deflated data are damaged");
  }
  void inflate_to(std::byte* to, std::size_t n) {
    while (n > 0) {
      const auto room = static_cast<uInt>(std::min<std::size_t>(n, std::size_t{1} << 30));
      stream_.next_out = as_zlib(to);
      stream_.avail_out = room;
      if (state_ == Z_STREAM_END) zip_.damaged("a member is shorter than its size says");
      step();
      to += room - stream_.avail_out;
      n -= room - stream_.avail_out;
    }
  }

  const ZipBytes& zip_;
  const ZipMember& member_;
  z_stream stream_{};
  int state_ = Z_OK;
  std::uint64_t taken_ = 0;
  std::uint64_t done_ = 0;
  std::uint32_t crc_ = 0;
  std::byte buffer_[std::size_t{32} << 10];
};

/// The value's parts, each under the name of its member.
std::vector<std::pair<std::string, Value::Elements>> members_of(const Value& value) {
  std::vector<std::pair<std::string, Value::Elements>> members;
  const auto add = [&](std::string name, const Value& part) {
    auto elements = as_npy_array(part, "\"" + name + "\"");
    members.emplace_back(std::move(name), std::move(elements));
  };
  if (value.kind() == Kind::dict) {
    for (const auto& [key, part] : value.entries()) {
      if (key.kind() != Kind::text) {
        throw BadArgument("the members of a .npz are named by text, not by " + key.kind_name());
      }
      add(key.as_text(), part);
    }
  } else if (value.kind() == Kind::tuple || value.kind() == Kind::list) {
    for (std::size_t i = 0; i < value.size(); ++i) add("arr_" + std::to_string(i), value[i]);
  } else {
    add("arr_0", value);
  }
  std::set<std::string_view> names;
  for (const auto& [name, elements] : members) {
    if (!names.insert(name).second) {
      throw BadArgument("two members of the .npz would be called \"" + name + "\"");
    }
  }
  return members;
}

Value read_members(const ZipBytes& zip, const LoadOptions& options) {
  std::vector<Value::Entry> entries;
  std::uint64_t total = 0;
  const std::uint64_t most = std::max(options.limits.max_bytes, zip.size() * 1100);
  for (const ZipMember& member : zip_members(zip, options.limits.max_nodes)) {
    if (!member.name.ends_with(".npy")) {
      zip.damaged("its member " + Value(member.name).to_string(80) + " is no .npy file");
    }
    if (member.size > most - total) {
      throw LimitExceeded(zip.name() +
                          ": its members have more bytes than "
                          "LoadOptions::limits.max_bytes allows");
    }
    total += member.size;
    MemberSource source(zip, member);
    LoadOptions inner = options;
    inner.mmap = MmapMode::none;
    const std::string key = member.name.substr(0, member.name.size() - 4);
    Input input(source, nullptr, zip.name() + ", member " + Value(key).to_string(80), inner, most);
    Value array = read_npy(input);
    if (!input.at_end() || !source.ended()) input.damaged("there are bytes behind its array");
    entries.emplace_back(key, std::move(array));
  }
  return Value::dict(std::move(entries));
}

}  // namespace

void write_npz(ByteSink& out, const Value& value, int level) {
  ZipWriter zip(out);
  for (const auto& [name, elements] : members_of(value)) {
    const std::string head = npy_preamble({elements.dtype, elements.shape, elements.order});
    const auto write = [&](ByteSink& sink) {
      sink.write(std::as_bytes(std::span(head)));
      sink.write({elements.data, elements.nbytes()});
      sink.finish();
    };
    ZipMember member{.name = name + ".npy", .deflated = level > 0};
    member.size = member.stored = head.size() + elements.nbytes();
    if (!member.deflated) {
      // Stands in front of the data.
      member.crc = libdeflate_crc32(0, head.data(), head.size());
      if (elements.nbytes() > 0) {
        member.crc = libdeflate_crc32(member.crc, elements.data, elements.nbytes());
      }
    }
    zip.begin(member);
    MemberSink sink(out, level);
    write(sink);
    zip.end(sink.crc(), sink.stored());
  }
  zip.finish();
}

Value read_npz(FileSource& file, const LoadOptions& options) {
  return read_members(ZipBytes(file), options);
}
Value read_npz(std::string_view bytes, const std::string& name, const LoadOptions& options) {
  return read_members(ZipBytes(bytes, name), options);
}

}  // namespace hoist::detail
