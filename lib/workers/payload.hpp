// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/decoder.hpp>
#include <hoist/detail/encoder.hpp>
#include <hoist/dump.hpp>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "ipc/link.hpp"
#include "os/mapping.hpp"

namespace hoist::detail::workers {

/// So many memory files may be under way to another process, or known to it at a time: a process
/// has 1024 descriptors, if nobody has asked for more.
inline constexpr std::size_t max_segments = 64;

/// A block of bytes that the other end finds in a memory file it was sent.
struct SegmentPlace {
  std::uint32_t number = 0;  // 0: the bytes are in the frame
  std::uint64_t offset = 0;
};

/// CannotTravel: what is written by tasks can't go by its file.
[[noreturn]] void throw_writes_lost();

/// Decides where each large block of a value goes, and sees to it that the other end has it.
class SegmentSender {
 public:
  virtual ~SegmentSender();
  virtual SegmentPlace place(const Segment& segment) = 0;
};

/// Appends an encoded value: its segments, then its meta stream. Where `sender` is null all is
/// inline.
void write_payload(ipc::FieldWriter& to, std::span<const std::byte> meta,
                   std::span<const Segment> segments, SegmentSender* sender);

/// The memory files that the other end sent, by number. Thread-safe.
class SegmentTable {
 public:
  /// `written`: what tasks write is to reach the file.
  void add(std::uint32_t number, os::Fd fd, std::uint64_t bytes, bool written);
  /// One that this process has already, and tasks write.
  void add(std::uint32_t number, std::shared_ptr<Storage> written);
  /// One that can't come here: who maps it gets CannotTravel.
  void refuse(std::uint32_t number);
  /// Returns the storage through which tasks read it, or null.
  std::shared_ptr<Storage> forget(std::uint32_t number);
  void clear();
  /// For who passes them on: removes them all.
  struct Taken {
    std::uint32_t number = 0;
    os::Fd fd;
    std::uint64_t bytes = 0;
    bool written = false;
  };
  std::vector<Taken> take_all();

  /// How tasks see shared arguments that they may write to (ParallelOptions::mmap_mode). Until it
  /// is set: as private copies, made page by page where a task writes.
  void set_argument_mode(MmapMode mode) { argument_mode_.store(mode); }

  /// Storage for the bytes. Where it is to be `writable` it maps the file if that is to be written,
  /// or is made as the argument mode says; else it is read-only. With `adopt`, writes go to the
  /// memory file, whose sole owner the storage becomes.
  std::shared_ptr<Storage> map(SegmentPlace place, std::size_t bytes, bool writable, bool adopt);

 private:
  struct Entry;
  std::shared_ptr<Storage> map_writable(const Entry& entry, std::uint64_t offset,
                                        std::size_t bytes) const;

  struct Entry {
    os::Fd fd = {};
    std::uint64_t bytes = 0;
    bool written = false;
    bool refused = false;
    std::shared_ptr<Storage> read_only = {};
    std::shared_ptr<Storage> shared = {};  // where tasks write

    /// One mapping for all tasks, whatever the argument mode.
    std::shared_ptr<Storage> map_written(std::uint64_t offset, std::size_t size);
  };
  std::mutex mutex_;
  std::map<std::uint32_t, Entry> entries_;
  std::atomic<bool> empty_{true};
  std::atomic<MmapMode> argument_mode_{MmapMode::copy_on_write};
};

/// Handles the frames that are there, as Link::receive does, except those that announce memory
/// files: what they announce goes into `segments`.
std::size_t receive_frames(ipc::Link& link, SegmentTable& segments, const ipc::FrameHandler& handle,
                           std::size_t limit);
/// The content of a frame that announces a memory file, whose first `bytes` bytes may be used.
/// `written`: what tasks write is to reach it.
ipc::FieldWriter announcement(std::uint32_t number, std::uint64_t bytes, bool written = false);

/// Reads what write_payload wrote. The bytes must outlive it.
class PayloadSource final : public DecodeSource {
 public:
  PayloadSource(SegmentTable& table, bool adopt) : table_(table), adopt_(adopt) {}
  PayloadSource(std::span<const std::byte> payload, SegmentTable& table, bool adopt)
      : PayloadSource(table, adopt) {
    start(payload);
  }
  /// Reads this payload from now on.
  void start(std::span<const std::byte> payload) {
    ipc::FieldReader reader(payload);
    pieces_.clear();
    next_ = 0;
    if (const auto n = reader.get<std::uint32_t>(); n > 0) read_pieces(reader, n);
    meta_ = reader.left();
  }

  std::span<const std::byte> next_meta() override;
  void expect_segment(std::size_t bytes) override;
  void read_segment(std::byte* to, std::size_t bytes) override;
  std::shared_ptr<Storage> take_segment(std::size_t bytes, bool writable) override;

 private:
  struct Piece {
    SegmentPlace place;
    std::span<const std::byte> inline_bytes;
    std::uint64_t bytes = 0;
  };
  void read_pieces(ipc::FieldReader& reader, std::uint32_t n);

  std::span<const std::byte> meta_;
  std::vector<Piece> pieces_;
  std::size_t next_ = 0;
  SegmentTable& table_;
  bool adopt_;
};

}  // namespace hoist::detail::workers
