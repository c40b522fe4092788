// SPDX-License-Identifier: BSD-3-Clause
#include "sockets/message.hpp"

#include <hoist/detail/code_address.hpp>
#include <hoist/error.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <string>

#include "base/digest_stream.hpp"

namespace hoist::detail {

std::uint64_t tag_of(const std::type_info& type) {
  const std::string_view name = type.name();
  return base::digest_of(std::as_bytes(std::span(name.data(), name.size()))).low | 1;
}

namespace sockets {

namespace {

/// The system takes 1024 at a time.
constexpr std::size_t max_parts = 1000;

[[noreturn]] void throw_damaged(const char* what) {
  throw DamagedData(std::string("what came through a connection is no message: ") + what);
}

std::string too_long(std::uint64_t bytes, std::uint64_t limit) {
  return "a message of " + std::to_string(bytes) + " bytes is longer than max_message_bytes (" +
         std::to_string(limit) + ")";
}

bool refers_to_program(const MessageType& type) {
  return type.method == TransferMethod::code || type.method == TransferMethod::raw;
}

}  // namespace

void MessageRules::check(const MessageType& type) const {
  if (same_program) return;
  if (!refers_to_program(type) && type.method != TransferMethod::handle) return;
  throw CannotTravel("values of type " + readable_type(*type.type) +
                     " have a meaning only in one program, and this connection allows others "
                     "(any_program): send what hoist can store");
}

void check_functions(const MessageType& type, std::span<const std::byte> meta) {
  if (!refers_to_program(type)) return;
  EncodedSource source(meta, {});
  Decoder decoder(source);
  const bool is_raw = type.method == TransferMethod::raw;
  for (std::size_t n = is_raw ? decoder.length() : 1; n > 0; --n) {
    if (is_raw) decoder.length();  // where the address lies in the object
    if (decoder.length() != 0) {
      throw CannotTravel("a value of type " + readable_type(*type.type) +
                         " refers to a function or constant of a shared library: only the "
                         "program's own can be sent through a socket");
    }
    decoder.length();
  }
}

OutgoingMessage::OutgoingMessage(const Encoder& encoder, const MessageType& type,
                                 const MessageRules& rules) {
  rules.check(type);
  check_functions(type, encoder.meta());
  header_.type = type.tag;
  const auto segments = encoder.segments();
  for (const Segment& segment : segments) add_row(segment, rules);
  add(&header_, sizeof header_);
  add(rows_.data(), rows_.size() * sizeof(SocketRow));
  for (std::size_t i = 0; i < segments.size(); ++i) {
    if (rows_[i].number == 0) add(segments[i].data, segments[i].bytes);
  }
  add(encoder.meta().data(), encoder.meta().size());
  finish(rules);
}

OutgoingMessage::OutgoingMessage(std::span<const std::byte> bytes, const MessageRules& rules) {
  add(&header_, sizeof header_);
  add(bytes.data(), bytes.size());
  finish(rules);
}

void OutgoingMessage::add(const void* data, std::size_t bytes) {
  if (bytes == 0) return;
  pieces_.push_back({const_cast<void*>(data), bytes});
  left_ += bytes;
}

void OutgoingMessage::add_row(const Segment& segment, const MessageRules& rules) {
  SocketRow& row = rows_.emplace_back();
  row.bytes = segment.bytes;
  const auto& owner = segment.owner;
  if (owner == nullptr || owner->passing() != Storage::Passing::written) return;
  if (!rules.descriptors) {
    throw CannotTravel(
        "locks, queues, shared arrays and other handles go through sockets only on one machine and "
        "within one program: connect by the path of a socket, without any_program, or send a copy "
        "of what is in them");
  }
  Storage::Backing backing = owner->backing();
  if (backing.fd < 0) workers::throw_writes_lost();
  row.offset = backing.offset + static_cast<std::uint64_t>(
                                    segment.data != nullptr ? segment.data - owner->data() : 0);
  const auto known = std::ranges::find(descriptors_, backing.fd);
  row.number = static_cast<std::uint32_t>(known - descriptors_.begin()) + 1;
  if (known != descriptors_.end()) return;
  if (descriptors_.size() == max_descriptors) {
    throw CannotTravel("a message has more than " + std::to_string(max_descriptors) +
                       " locks, queues, shared arrays and the like: send it in parts");
  }
  descriptors_.push_back(backing.fd);
  open_.push_back(std::move(backing));
}

void OutgoingMessage::finish(const MessageRules& rules) {
  header_.bytes = left_;
  header_.segments = static_cast<std::uint32_t>(rows_.size());
  header_.descriptors = static_cast<std::uint32_t>(descriptors_.size());
  if (left_ > rules.max_bytes) {
    throw CannotTravel(too_long(left_, rules.max_bytes) +
                       ": raise that on both sides, or send it in parts");
  }
  if (rows_.size() > std::numeric_limits<std::uint32_t>::max()) {
    throw CannotTravel("a message has more than 2^32 arrays");
  }
}

bool OutgoingMessage::next_chunk(std::vector<iovec>& parts) {
  if (left_ == 0) return false;
  parts.assign({{&chunk_, sizeof chunk_}});
  std::size_t bytes = 0;
  while (next_ < pieces_.size() && parts.size() < max_parts && bytes < max_chunk) {
    iovec& piece = pieces_[next_];
    const std::size_t taken = std::min(piece.iov_len, max_chunk - bytes);
    parts.push_back({piece.iov_base, taken});
    bytes += taken;
    piece.iov_base = static_cast<std::byte*>(piece.iov_base) + taken;
    piece.iov_len -= taken;
    if (piece.iov_len == 0) ++next_;
  }
  left_ -= bytes;
  chunk_ = {static_cast<std::uint32_t>(bytes), ChunkKind::content};
  if (left_ == 0) parts.push_back({&end_, sizeof end_});
  return true;
}

std::span<std::byte> IncomingMessage::room() {
  if (complete_ || withdrawn_) return {};
  const std::span<std::byte> front(front_);
  if (!in_body_) return front.subspan(filled_);
  if (chunk_left_ == 0) return front.first(sizeof(ChunkHeader)).subspan(filled_);
  auto bytes = static_cast<std::size_t>(std::min(chunk_left_, part_left()));
  const auto from = static_cast<std::size_t>(part_filled_);
  if (part_ == Part::segments) return {received_[at_segment_].storage->data() + from, bytes};
  // A chunk that says that this was all follows in any case.
  if (part_ == Part::meta && bytes == part_left()) bytes += sizeof(ChunkHeader);
  if (body_.size() < from + bytes) body_.resize(from + bytes);
  return {body_.data() + from, bytes};
}

void IncomingMessage::take(std::size_t bytes) {
  if (!in_body_ || chunk_left_ == 0) {
    filled_ += bytes;
    return take_front();
  }
  const auto content = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, part_left()));
  if (bytes > content) {
    const auto* const behind = body_.data() + part_filled_ + content;
    filled_ = bytes - content;
    std::memcpy(front_.data(), behind, filled_);
  }
  take_content(content);
  if (filled_ > 0) take_front();
}

void IncomingMessage::take_content(std::size_t bytes) {
  chunk_left_ -= bytes;
  part_filled_ += bytes;
  if (part_left() == 0) end_part();
}

void IncomingMessage::take_front() {
  if (filled_ < (in_body_ ? sizeof(ChunkHeader) : front_.size())) return;
  filled_ = 0;
  open_chunk();
  if (!in_body_) open_message();
}

void IncomingMessage::open_chunk() {
  ChunkHeader chunk;
  std::memcpy(&chunk, front_.data(), sizeof chunk);
  if (chunk.kind == ChunkKind::content && !has_all_) {
    if (chunk.bytes == 0 || chunk.bytes > max_chunk) throw_damaged("a chunk has a wrong length");
    chunk_left_ = chunk.bytes;
    return;
  }
  complete_ = chunk.kind == ChunkKind::end && has_all_;
  withdrawn_ = chunk.kind == ChunkKind::withdrawn && in_body_;
  if (chunk.bytes != 0 || !(complete_ || withdrawn_)) throw_damaged("a chunk is of another kind");
}

void IncomingMessage::open_message() {
  std::memcpy(&header_, front_.data() + sizeof(ChunkHeader), sizeof header_);
  if (header_.bytes > rules_.max_bytes) {
    throw LimitExceeded(too_long(header_.bytes, rules_.max_bytes) +
                        ": raise that if you trust the other side");
  }
  const std::uint64_t rows = std::uint64_t{header_.segments} * sizeof(SocketRow);
  if (chunk_left_ < sizeof header_ || header_.bytes < sizeof header_ + rows) {
    throw_damaged("it is shorter than what it has");
  }
  if (header_.descriptors > (rules_.descriptors ? max_descriptors : 0) ||
      (header_.type == 0 && (header_.segments > 0 || header_.descriptors > 0))) {
    throw_damaged("it has what this connection doesn't carry");
  }
  in_body_ = true;
  chunk_left_ -= sizeof header_;
  left_ = header_.bytes - sizeof header_ - rows;
  begin_part(Part::rows, rows);
}

void IncomingMessage::begin_part(Part part, std::uint64_t bytes) {
  part_ = part;
  part_bytes_ = bytes;
  part_filled_ = 0;
  if (part != Part::segments) {
    body_.clear();
    // Address space; memory comes with the bytes.
    body_.reserve(static_cast<std::size_t>(bytes) + sizeof(ChunkHeader));
  }
  if (bytes == 0) end_part();
}

void IncomingMessage::end_part() {
  if (part_ == Part::meta) {
    if (chunk_left_ != 0) throw_damaged("it goes on behind its end");
    body_.resize(static_cast<std::size_t>(part_bytes_));
    has_all_ = true;
    return;
  }
  if (part_ == Part::rows) {
    open_rows();
  } else {
    ++at_segment_;
  }
  next_segment();
}

void IncomingMessage::open_rows() {
  received_.resize(header_.segments);
  for (std::size_t i = 0; i < received_.size(); ++i) {
    SocketRow& row = received_[i].row;
    std::memcpy(&row, body_.data() + i * sizeof row, sizeof row);
    if (row.number > header_.descriptors) throw_damaged("a descriptor is missing");
    if (row.number != 0) continue;
    if (row.bytes == 0 || row.bytes > left_) throw_damaged("an array is longer than all");
    left_ -= row.bytes;
  }
}

void IncomingMessage::next_segment() {
  const auto is_inline = [](const Received& one) { return one.row.number == 0; };
  const auto from = received_.begin() + static_cast<std::ptrdiff_t>(at_segment_);
  const auto next = std::find_if(from, received_.end(), is_inline);
  if (next == received_.end()) return begin_part(Part::meta, left_);
  at_segment_ = static_cast<std::size_t>(next - received_.begin());
  const std::uint64_t bytes = next->row.bytes;
  next->storage = allocate_storage(static_cast<std::size_t>(bytes), Fill::none);
  begin_part(Part::segments, bytes);
}

void IncomingMessage::add(os::Fd fd) {
  if (fds_.size() == max_descriptors) throw_damaged("it has too many descriptors");
  fds_.push_back(std::move(fd));
}

void IncomingMessage::open(const MessageType& type) {
  if (header_.type == 0) throw WrongType("what was received are bytes: use recv_bytes()");
  if (header_.type != type.tag) {
    throw WrongType("what was received is no " + readable_type(*type.type) +
                    ": both sides of a connection must be made with the same types");
  }
  rules_.check(type);
  check_functions(type, body_);
  add_files();
}

void IncomingMessage::add_files() {
  if (fds_.size() < header_.descriptors) {
    throw SystemError("can't receive descriptors from a process: too many are open (ulimit -n)",
                      EMFILE);
  }
  for (const Received& one : received_) {
    if (one.row.number == 0) continue;
    os::Fd& fd = fds_[one.row.number - 1];
    if (!fd) continue;  // known from an earlier row
    if (one.row.offset > std::numeric_limits<std::uint64_t>::max() - one.row.bytes) {
      Decoder::throw_damaged();
    }
    const std::uint64_t end = one.row.bytes == 0 ? 0 : one.row.offset + one.row.bytes;
    files_.add(one.row.number, std::move(fd), end, true);
  }
}

std::vector<std::byte> IncomingMessage::open_bytes() {
  if (header_.type != 0) throw WrongType("what was received is a value, not bytes: use recv()");
  return std::move(body_);
}

std::span<const std::byte> IncomingMessage::next_meta() {
  if (std::exchange(meta_read_, true)) return {};
  return body_;
}

void IncomingMessage::expect_segment(std::size_t bytes) {
  if (next_ >= received_.size() || received_[next_].row.bytes != bytes) Decoder::throw_damaged();
}

void IncomingMessage::read_segment(std::byte* to, std::size_t bytes) {
  std::memcpy(to, take_segment(bytes, false)->data(), bytes);
}

std::shared_ptr<Storage> IncomingMessage::take_segment(std::size_t bytes, bool writable) {
  Received& segment = received_[next_++];
  if (segment.row.number == 0) return std::move(segment.storage);
  return files_.map({segment.row.number, segment.row.offset}, bytes, writable, true);
}

}  // namespace sockets

}  // namespace hoist::detail
