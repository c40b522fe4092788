// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/decoder.hpp>
#include <hoist/detail/encoder.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "ipc/channel.hpp"
#include "multiprocess/message_ring.hpp"
#include "os/file.hpp"
#include "workers/payload.hpp"

namespace hoist::detail::multiprocess {

/// What a message of mere bytes begins with, in place of the number of segments.
inline constexpr std::uint32_t bytes_message = 0xffffffff;

/// A value as a message: tables of its segments and of the memory files among them, the segments
/// that are not in such files, the meta stream.
struct MessageContent final : DecodeSource {
  MessageContent() { encoder.set_for_any_process(); }

  Encoder encoder;

  /// Makes the pieces of what is in an encoder, which they refer to.
  void pack(Encoder& from);
  /// Likewise of mere bytes.
  void pack_bytes(Bytes bytes);
  std::span<const Bytes> pieces() const { return pieces_; }
  /// Of all pieces.
  std::uint64_t bytes() const;
  /// Those of memory files, to be sent beside the message.
  std::span<const os::Fd> descriptors() const { return descriptors_; }
  /// Bytes of the memory files.
  std::uint64_t outside() const { return outside_; }
  /// Marks a message that has descriptors.
  void set_tag(std::uint64_t tag, std::uint64_t outside_before);

  /// Reads a message; false if it breaks off.
  bool receive(ReadTurn& turn);
  /// Of a message that was received: how many descriptors come beside it, with which mark, and the
  /// bytes of memory files that had been sent with it and all before.
  std::size_t expected() const { return announced_.size(); }
  std::uint64_t tag() const { return tag_; }
  std::uint64_t outside_until() const { return outside_until_; }
  void add_descriptor(std::size_t index, os::Fd fd);

  /// For another message. Keeps memory, but not much.
  void clear();

  std::span<const std::byte> next_meta() override;
  void expect_segment(std::size_t bytes) override;
  void read_segment(std::byte* to, std::size_t bytes) override;
  std::shared_ptr<Storage> take_segment(std::size_t bytes, bool writable) override;

 private:
  /// A segment that arrived: in the storage, or where a memory file has it.
  struct Received {
    workers::SegmentPlace place;
    std::uint64_t bytes = 0;
    std::shared_ptr<Storage> storage;
  };
  struct Announced {
    std::uint32_t number = 0;
    std::uint32_t written = 0;
    std::uint64_t bytes = 0;
  };
  ipc::FieldWriter front_;
  std::vector<Bytes> pieces_;
  std::vector<os::Fd> descriptors_;
  std::uint64_t outside_ = 0;

  std::vector<std::byte> buffer_;  // the meta stream is the first meta_bytes_ of it
  std::size_t meta_bytes_ = 0;
  std::vector<Received> received_;
  std::size_t next_ = 0;
  std::vector<Announced> announced_;
  std::uint64_t tag_ = 0;
  std::uint64_t outside_until_ = 0;
  workers::SegmentTable files_;
};

}  // namespace hoist::detail::multiprocess
