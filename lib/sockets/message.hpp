// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/decoder.hpp>
#include <hoist/detail/encoder.hpp>
#include <hoist/detail/socket_stream.hpp>

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "os/file.hpp"
#include "workers/payload.hpp"

// Messages as they go through sockets; docs/formats/connection.md has them byte by byte.

namespace hoist::detail::sockets {

/// In the last byte of a header: until that is sent, an end can still become a withdrawal.
enum class ChunkKind : std::uint32_t {
  content = 0,
  end = 1U << 24,        ///< of a message, whose content is complete; has none itself
  withdrawn = 2U << 24,  ///< the message is none; likewise
};

struct ChunkHeader {
  std::uint32_t bytes = 0;
  ChunkKind kind{};
};

inline constexpr std::size_t max_chunk = std::size_t{1} << 20;
/// As many descriptors may come with a message.
inline constexpr std::size_t max_descriptors = 64;

struct MessageHeader {
  std::uint64_t bytes = 0;  // of all chunks' content, with this
  std::uint64_t type = 0;   // 0: mere bytes
  std::uint32_t segments = 0;
  std::uint32_t descriptors = 0;
};

struct SocketRow {
  std::uint64_t bytes = 0;
  std::uint64_t offset = 0;  // in the file of a descriptor
  std::uint32_t number = 0;  // of the descriptor, from 1 on; 0: the bytes are in the message
  std::uint32_t zero = 0;
};

/// What both sides allow in their messages.
struct MessageRules {
  std::uint64_t max_bytes = 0;
  bool descriptors = false;   // the socket carries them
  bool same_program = false;  // what has a meaning only in one program may come

  /// Throws CannotTravel where messages of that type may not be sent, or received.
  void check(const MessageType& type) const;
};

/// Throws CannotTravel unless all functions that an encoded value refers to are the program's own:
/// the numbers of shared objects differ from process to process.
void check_functions(const MessageType& type, std::span<const std::byte> meta);

/// A message to be sent. Refers to the encoder, or the bytes, that it was made of.
class OutgoingMessage {
 public:
  OutgoingMessage(const Encoder& encoder, const MessageType& type, const MessageRules& rules);
  OutgoingMessage(std::span<const std::byte> bytes, const MessageRules& rules);
  OutgoingMessage(const OutgoingMessage&) = delete;
  OutgoingMessage& operator=(const OutgoingMessage&) = delete;

  /// Puts the next chunk, with its header, into `parts`, and behind the last the end. False if
  /// there is none.
  bool next_chunk(std::vector<iovec>& parts);
  /// Whether that was the last.
  bool is_at_end() const { return left_ == 0; }
  /// To be sent with the first byte.
  const std::vector<int>& descriptors() const { return descriptors_; }

 private:
  void add(const void* data, std::size_t bytes);
  void add_row(const Segment& segment, const MessageRules& rules);
  void finish(const MessageRules& rules);

  MessageHeader header_;
  std::vector<SocketRow> rows_;
  std::vector<int> descriptors_;
  std::vector<Storage::Backing> open_;
  std::vector<iovec> pieces_;
  std::size_t next_ = 0;
  std::uint64_t left_ = 0;
  ChunkHeader chunk_;
  ChunkHeader end_{0, ChunkKind::end};
};

/// A message that arrives piece by piece. The bytes are untrusted: memory is touched as they
/// arrive.
class IncomingMessage final : public DecodeSource {
 public:
  explicit IncomingMessage(const MessageRules& rules) : rules_(rules) {}

  /// Where the next bytes go; they belong to this message. Empty when it is complete.
  std::span<std::byte> room();
  /// So many have come. Throws DamagedData, LimitExceeded if the message is too long.
  void take(std::size_t bytes);
  /// Whether descriptors may come with the next bytes.
  bool is_at_front() const { return filled_ < sizeof front_ && !in_body_; }
  void add(os::Fd fd);

  bool is_complete() const { return complete_; }
  /// Of a complete one; 0 for mere bytes.
  std::uint64_t type() const { return header_.type; }
  /// The sender has given it up.
  bool is_withdrawn() const { return withdrawn_; }
  /// Of a complete one: throws WrongType if it is of another type, CannotTravel where values of
  /// that type may not come, SystemError where its descriptors could not be received.
  void open(const MessageType& type);
  /// Likewise of mere bytes.
  std::vector<std::byte> open_bytes();

  std::span<const std::byte> next_meta() override;
  void expect_segment(std::size_t bytes) override;
  void read_segment(std::byte* to, std::size_t bytes) override;
  std::shared_ptr<Storage> take_segment(std::size_t bytes, bool writable) override;

 private:
  struct Received {
    SocketRow row;
    std::shared_ptr<Storage> storage;
  };
  enum class Part : std::uint8_t { rows, segments, meta };

  void take_front();
  void open_message();
  void open_chunk();
  void take_content(std::size_t bytes);
  std::uint64_t part_left() const { return part_bytes_ - part_filled_; }
  void begin_part(Part part, std::uint64_t bytes);
  void end_part();
  void open_rows();
  void next_segment();
  void add_files();

  MessageRules rules_;
  // The first bytes of a message: the headers of its first chunk and of itself. Later the header of
  // the next chunk.
  std::array<std::byte, sizeof(ChunkHeader) + sizeof(MessageHeader)> front_;
  std::size_t filled_ = 0;
  bool in_body_ = false;
  bool has_all_ = false;  // but the chunk that says so
  bool complete_ = false;
  bool withdrawn_ = false;
  MessageHeader header_;
  std::uint64_t chunk_left_ = 0;
  std::uint64_t left_ = 0;  // bytes of the message that no part has claimed

  Part part_ = Part::rows;
  std::uint64_t part_bytes_ = 0;
  std::uint64_t part_filled_ = 0;
  std::vector<std::byte> body_;  // rows, then the meta stream or the bytes
  std::vector<Received> received_;
  std::size_t at_segment_ = 0;

  std::vector<os::Fd> fds_;
  workers::SegmentTable files_;
  std::size_t next_ = 0;
  bool meta_read_ = false;
};

}  // namespace hoist::detail::sockets
