// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/codec.hpp>
#include <hoist/detail/decoder.hpp>
#include <hoist/detail/encoder.hpp>
#include <hoist/dump.hpp>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "formats/blocks.hpp"
#include "os/file.hpp"

// The hoist container, byte by byte: docs/formats/container.md.

namespace hoist::detail::os {
class AtomicFile;
}

namespace hoist::detail::formats {

inline constexpr std::string_view container_magic = "\x89HOIST\r\n";
inline constexpr std::size_t container_align = 64;

struct ContainerHeader {
  char magic[8];
  std::uint32_t version;
  std::uint32_t reserved;
  char codec[16];
  std::uint64_t schema_bytes;
  std::uint64_t schema_checksum;
  std::uint64_t reserved_too;
  std::uint64_t checksum;  // of all before it
};
static_assert(sizeof(ContainerHeader) == 64);

/// An open segment may be written through a mapping, so its content has no checksum. Its head keeps
/// the checksum of an ordinary segment: changing one byte, which is atomic, turns one kind into the
/// other.
enum class RecordKind : std::uint8_t { meta = 1, segment = 2, end = 3, open_segment = 0x77 };

struct RecordHead {
  RecordKind kind;
  std::uint8_t width;  // by which compressed blocks are shuffled; 0: not at all
  std::uint16_t reserved;
  std::uint32_t element_bytes;
  std::uint64_t bytes;
  std::uint64_t checksum;  // of all before it
};
static_assert(sizeof(RecordHead) == 24);

/// Writes one container to a sink.
class ContainerWriter final : public EncodeSink {
 public:
  /// `codec` null: uncompressed. `out` must outlive the writer. `threads` 0: all usable cores.
  ContainerWriter(ByteSink& out, const Schema& schema, const Codec* codec, int level,
                  Filter filter = Filter::automatic, unsigned threads = 0);

  void emit(std::span<const std::byte> meta, std::span<Segment> segments) override;
  /// A segment of so many bytes that comes from a source, in bounded memory. Throws DamagedData if
  /// that has fewer.
  void emit_from(ByteSource& from, std::uint64_t bytes, std::uint32_t element_bytes);
  /// An open segment of zeros that take no room on the disk yet; `file` is what is written to.
  void emit_open(os::AtomicFile& file, std::uint64_t bytes, std::uint32_t element_bytes);
  void finish();

 private:
  void put(const void* data, std::size_t n);
  void pad();
  void record(RecordKind kind, std::span<const std::byte> payload, std::uint32_t element_bytes);
  void head(RecordKind kind, std::uint64_t bytes, std::uint32_t element_bytes, std::size_t width);
  void plain(std::span<const std::byte> payload);
  void compressed(std::span<const std::byte> payload, std::size_t width);

  ByteSink& out_;
  const Codec* codec_;
  int level_;
  Filter filter_;
  unsigned threads_;  // as asked for
  std::uint64_t position_ = 0;
  std::uint64_t records_ = 0;
};

/// Reads one container. Segments come in order; with `map` they are mapped from the file.
class ContainerReader final : public DecodeSource {
 public:
  /// `file` is the source itself where that is an uncompressed file, else null.
  ContainerReader(ByteSource& in, os::FileSource* file, std::string name,
                  const LoadOptions& options);
  ContainerReader(ByteSource& in, os::FileSource* file, std::string name, MmapMode mmap)
      : ContainerReader(in, file, std::move(name), LoadOptions{.mmap = mmap}) {}

  const std::string& schema() const noexcept { return schema_; }
  /// Of the method that compresses its blocks; empty for none.
  std::string codec_name() const { return codec_ == nullptr ? "" : hoist::codec_name(*codec_); }

  std::span<const std::byte> next_meta() override;
  void expect_segment(std::size_t bytes) override;
  void read_segment(std::byte* to, std::size_t bytes) override;
  std::shared_ptr<Storage> take_segment(std::size_t bytes, bool writable) override;
  std::uint64_t trusted() const override;

  /// Instead of taking the next segment: its next block, to the front of `to`, which has room for
  /// it. Returns its size; 0 at the end of the segment, which has then been checked.
  std::size_t read_block(std::span<std::byte> to);
  /// Instead of decoding: reads everything to the end and checks it, in bounded memory. Throws
  /// DamagedData.
  void verify();
  /// To be called after decoding: throws DamagedData unless this is the end of the container.
  void finish();
  /// Throws DamagedData where bytes follow the container.
  void expect_end();

 private:
  void get(void* to, std::size_t n);
  void open_segment();
  bool is_open() const;
  void skip_padding();
  const RecordHead& head();
  void payload(std::byte* to, std::size_t n);
  void plain(std::byte* to, std::size_t n);
  void compressed(std::byte* to, std::size_t n, std::size_t width);
  void begin_payload();
  void end_payload();
  std::size_t next_block(std::span<std::byte> to);
  std::shared_ptr<Storage> map(std::size_t bytes, bool writable);
  [[noreturn]] void damaged(const std::string& what) const;

  ByteSource& in_;
  os::FileSource* file_;
  std::string name_;
  LoadOptions options_;
  const Codec* codec_ = nullptr;
  std::string schema_;
  std::uint64_t position_ = 0;
  std::uint64_t records_ = 0;
  bool has_head_ = false;
  RecordHead head_{};
  std::uint64_t head_at_ = 0;
  bool open_ = false;        // the current segment
  bool in_payload_ = false;  // which is read by blocks
  std::uint64_t left_ = 0;
  std::vector<std::uint64_t> sums_;
  std::vector<std::byte> stored_;
  std::vector<std::byte> meta_;
};

}  // namespace hoist::detail::formats
