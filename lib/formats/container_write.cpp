// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <thread>

#include "base/checksum.hpp"
#include "base/run_ordered.hpp"
#include "formats/container.hpp"
#include "os/atomic_file.hpp"
#include "os/own_thread.hpp"
#include "os/run_parallel.hpp"

namespace hoist::detail::formats {

namespace {

/// From this size on the checksums are computed beside the writing, by another thread.
constexpr std::size_t overlap_from = std::size_t{8} << 20;
/// What is in memory of a segment that comes from a source: whole blocks, enough for all cores.
constexpr std::uint64_t streamed_bytes = std::uint64_t{32} << 20;

}  // namespace

ContainerWriter::ContainerWriter(ByteSink& out, const Schema& schema, const Codec* codec, int level,
                                 Filter filter, unsigned threads)
    : out_(out), codec_(codec), level_(level), filter_(filter), threads_(threads) {
  ContainerHeader header{};
  std::memcpy(header.magic, container_magic.data(), sizeof header.magic);
  header.version = 1;
  if (codec_ != nullptr) {
    const std::string name = codec_name(*codec_);
    if (name.size() > sizeof header.codec) {
      throw BadArgument("the name of compression method \"" + name +
                        "\" is longer than the 16 bytes a container has for it");
    }
    std::memcpy(header.codec, name.data(), name.size());
  }
  header.schema_bytes = schema.text.size();
  header.schema_checksum = base::checksum(schema.text.data(), schema.text.size());
  header.checksum = base::checksum(&header, offsetof(ContainerHeader, checksum));
  put(&header, sizeof header);
  put(schema.text.data(), schema.text.size());
}

void ContainerWriter::put(const void* data, std::size_t n) {
  out_.write({static_cast<const std::byte*>(data), n});
  position_ += n;
}

void ContainerWriter::pad() {
  static constexpr std::array<std::byte, container_align> zeros{};
  put(zeros.data(), (container_align - position_ % container_align) % container_align);
}

void ContainerWriter::emit(std::span<const std::byte> meta, std::span<Segment> segments) {
  if (!meta.empty()) record(RecordKind::meta, meta, 1);
  for (const Segment& segment : segments) {
    record(RecordKind::segment, {segment.data, segment.bytes}, segment.element_bytes);
  }
}

void ContainerWriter::record(RecordKind kind, std::span<const std::byte> payload,
                             std::uint32_t element_bytes) {
  std::size_t width = 0;
  if (codec_ != nullptr && kind == RecordKind::segment) {
    width = choose_width({.codec = codec_, .level = level_}, filter_, element_bytes, payload);
  }
  head(kind, payload.size(), element_bytes, width);
  if (codec_ != nullptr) {
    compressed(payload, width);
  } else {
    plain(payload);
  }
}

void ContainerWriter::head(RecordKind kind, std::uint64_t bytes, std::uint32_t element_bytes,
                           std::size_t width) {
  RecordHead head{};
  head.kind = kind;
  head.element_bytes = element_bytes;
  head.bytes = bytes;
  head.width = static_cast<std::uint8_t>(width);
  head.checksum = base::checksum(&head, offsetof(RecordHead, checksum));
  put(&head, sizeof head);
  ++records_;
  if (codec_ == nullptr && kind == RecordKind::segment) pad();
}

void ContainerWriter::emit_from(ByteSource& from, std::uint64_t bytes,
                                std::uint32_t element_bytes) {
  std::vector<std::byte> piece(static_cast<std::size_t>(std::min(bytes, streamed_bytes)));
  std::vector<std::uint64_t> checksums;
  std::size_t width = 0;
  for (std::uint64_t left = bytes; left > 0; left -= piece.size()) {
    piece.resize(static_cast<std::size_t>(std::min(left, streamed_bytes)));
    if (from.read(piece.data(), piece.size()) != piece.size()) {
      throw DamagedData("an array is cut short");
    }
    if (left == bytes) {
      // Of the shuffles, the one that the first piece asks for.
      if (codec_ != nullptr) {
        width = choose_width({.codec = codec_, .level = level_}, filter_, element_bytes, piece);
      }
      head(RecordKind::segment, bytes, element_bytes, width);
    }
    if (codec_ != nullptr) {
      compressed(piece, width);
      continue;
    }
    for (std::size_t at = 0; at < piece.size(); at += block_bytes) {
      checksums.push_back(
          base::checksum(piece.data() + at, std::min(piece.size() - at, block_bytes)));
    }
    put(piece.data(), piece.size());
  }
  if (codec_ != nullptr) return;
  const std::uint64_t total =
      base::checksum(checksums.data(), checksums.size() * sizeof(std::uint64_t));
  put(&total, sizeof total);
}

void ContainerWriter::plain(std::span<const std::byte> payload) {
  const std::size_t blocks = (payload.size() + block_bytes - 1) / block_bytes;
  std::vector<std::uint64_t> checksums(blocks);
  const auto sum = [&] {
    for (std::size_t i = 0; i < blocks; ++i) {
      const auto block = payload.subspan(i * block_bytes);
      checksums[i] = base::checksum(block.data(), std::min(block.size(), block_bytes));
    }
  };
  {
    std::jthread beside;
    if (payload.size() >= overlap_from && os::transfer_threads(threads_) > 1) {
      try {
        beside = os::own_thread("hoist-checksum", sum);
      } catch (const SystemError&) {
        // There can be no more threads.
      }
    }
    if (!beside.joinable()) sum();
    put(payload.data(), payload.size());
  }
  const std::uint64_t total =
      base::checksum(checksums.data(), checksums.size() * sizeof(std::uint64_t));
  put(&total, sizeof total);
}

void ContainerWriter::compressed(std::span<const std::byte> payload, std::size_t width) {
  const BlockMethod method{codec_, level_, width};
  struct Slot {
    std::span<const std::byte> block;
    PackedBlock out;
  };
  const bool one = payload.size() <= block_bytes;
  const unsigned threads = one ? 1 : os::transfer_threads(threads_);
  std::vector<Slot> slots(one ? 1 : base::ordered_slots(threads));
  base::run_ordered(
      threads, {.start =
                    [&](std::size_t i) {
                      if (payload.empty()) return false;
                      slots[i].block = payload.first(std::min(payload.size(), block_bytes));
                      payload = payload.subspan(slots[i].block.size());
                      return true;
                    },
                .work = [&](std::size_t i) { pack_block(method, slots[i].block, slots[i].out); },
                .finish =
                    [&](std::size_t i) {
                      put(slots[i].out.front.data(), slots[i].out.front.size());
                      for (const auto& piece : slots[i].out.pieces) put(piece.data(), piece.size());
                    }});
}

void ContainerWriter::emit_open(os::AtomicFile& file, std::uint64_t bytes,
                                std::uint32_t element_bytes) {
  RecordHead head{};
  head.kind = RecordKind::segment;
  head.element_bytes = element_bytes;
  head.bytes = bytes;
  head.checksum = base::checksum(&head, offsetof(RecordHead, checksum));
  head.kind = RecordKind::open_segment;
  put(&head, sizeof head);
  ++records_;
  pad();
  file.extend(bytes);
  position_ += bytes;
  constexpr std::uint64_t no_checksum = 0;
  put(&no_checksum, sizeof no_checksum);
}

void ContainerWriter::finish() {
  RecordHead head{};
  head.kind = RecordKind::end;
  head.bytes = records_;
  head.checksum = base::checksum(&head, offsetof(RecordHead, checksum));
  put(&head, sizeof head);
}

}  // namespace hoist::detail::formats
