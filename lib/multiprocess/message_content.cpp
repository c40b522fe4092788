// SPDX-License-Identifier: BSD-3-Clause
#include "multiprocess/message_content.hpp"

#include <hoist/error.hpp>

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "workers/result_sender.hpp"

namespace hoist::detail::multiprocess {

namespace {

/// Arrays from this size on go by memory files: to make, map and free one costs as much as to copy
/// some MiB.
constexpr std::size_t file_from = std::size_t{8} << 20;
/// More of a message's memory than that isn't kept for the next.
constexpr std::size_t keep_at_most = std::size_t{1} << 20;
/// Where the front has the tag and what follows it.
constexpr std::size_t tag_at = 2 * sizeof(std::uint32_t);

/// How a message tells of a segment.
struct SegmentRow {
  std::uint32_t number = 0;
  std::uint32_t zero = 0;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

}  // namespace

void MessageContent::pack(Encoder& from) {
  front_.clear();
  pieces_.clear();
  descriptors_.clear();
  outside_ = 0;
  const auto segments = from.segments();
  front_.put(static_cast<std::uint32_t>(segments.size()));
  front_.put(std::uint32_t{0});
  if (segments.empty()) {
    pieces_.assign({front_.bytes(), from.meta()});
    return;
  }
  front_.put(std::uint64_t{0});
  front_.put(std::uint64_t{0});
  ipc::FieldWriter announcements;
  workers::ResultSender sender(
      file_from,
      [&](Bytes announcement, int fd) {
        os::Fd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
        if (!copy) throw SystemError("can't send an array or a handle to a process", errno);
        descriptors_.push_back(std::move(copy));
        announcements.append(announcement.data(), announcement.size());
      },
      1);
  std::vector<Bytes> inside;
  for (const Segment& segment : segments) {
    const auto place = segment.owner != nullptr ? sender.place(segment) : workers::SegmentPlace{};
    front_.put(SegmentRow{place.number, 0, place.offset, segment.bytes});
    if (place.number != 0) {
      const bool is_handle = segment.owner->passing() == Storage::Passing::written;
      if (!is_handle) outside_ += segment.bytes;
    } else {
      inside.emplace_back(segment.data, segment.bytes);
    }
  }
  front_.patch(sizeof(std::uint32_t), static_cast<std::uint32_t>(descriptors_.size()));
  front_.append(announcements.bytes().data(), announcements.size());
  pieces_.push_back(front_.bytes());
  pieces_.insert(pieces_.end(), inside.begin(), inside.end());
  pieces_.push_back(from.meta());
}

void MessageContent::pack_bytes(Bytes bytes) {
  front_.clear();
  outside_ = 0;
  front_.put(std::uint64_t{bytes_message});
  pieces_.assign({front_.bytes(), bytes});
}

std::uint64_t MessageContent::bytes() const {
  std::uint64_t sum = 0;
  for (const Bytes piece : pieces_) sum += piece.size();
  return sum;
}

void MessageContent::set_tag(std::uint64_t tag, std::uint64_t outside_before) {
  front_.patch(tag_at, tag);
  front_.patch(tag_at + sizeof tag, outside_before + outside_);
}

bool MessageContent::receive(ReadTurn& turn) {
  std::uint64_t left = turn.size();
  // False if the message breaks off.
  const auto read = [&](void* to, std::uint64_t n) {
    if (n > left) Decoder::throw_damaged();
    left -= n;
    return turn.read(to, static_cast<std::size_t>(n));
  };
  std::uint32_t counts[2];
  if (!read(counts, sizeof counts)) return false;
  if (counts[0] == bytes_message) throw WrongType("what was received are bytes: use recv_bytes()");
  if (counts[0] != 0) {
    std::uint64_t sent[2];
    if (!read(sent, sizeof sent)) return false;
    tag_ = sent[0];
    outside_until_ = sent[1];
    if (counts[0] > left / sizeof(SegmentRow) || counts[1] > left / sizeof(Announced)) {
      Decoder::throw_damaged();
    }
    std::vector<SegmentRow> rows(counts[0]);
    if (!read(rows.data(), rows.size() * sizeof(SegmentRow))) return false;
    announced_.resize(counts[1]);
    if (!read(announced_.data(), announced_.size() * sizeof(Announced))) return false;
    for (const SegmentRow& row : rows) {
      Received segment{{row.number, row.offset}, row.bytes, nullptr};
      if (row.number == 0) {
        if (row.bytes > left) Decoder::throw_damaged();
        const auto bytes = static_cast<std::size_t>(row.bytes);
        segment.storage = allocate_storage(bytes, Fill::none);
        if (!read(segment.storage->data(), bytes)) return false;
      }
      received_.push_back(std::move(segment));
    }
  }
  meta_bytes_ = static_cast<std::size_t>(left);
  if (buffer_.size() < meta_bytes_) buffer_.resize(meta_bytes_);
  return read(buffer_.data(), meta_bytes_);
}

void MessageContent::add_descriptor(std::size_t index, os::Fd fd) {
  if (index >= announced_.size()) Decoder::throw_damaged();
  const Announced& announced = announced_[index];
  files_.add(announced.number, std::move(fd), announced.bytes, announced.written != 0);
}

void MessageContent::clear() {
  const bool was_large = encoder.meta().size() > keep_at_most || !encoder.segments().empty();
  encoder.clear();
  if (was_large) {
    encoder = Encoder();
    encoder.set_for_any_process();
  }
  descriptors_.clear();
  received_.clear();
  next_ = 0;
  announced_.clear();
  files_.clear();
  if (buffer_.size() > keep_at_most) buffer_ = {};
}

std::span<const std::byte> MessageContent::next_meta() {
  return {buffer_.data(), std::exchange(meta_bytes_, 0)};
}

void MessageContent::expect_segment(std::size_t bytes) {
  if (next_ >= received_.size() || received_[next_].bytes != bytes) Decoder::throw_damaged();
}

void MessageContent::read_segment(std::byte* to, std::size_t bytes) {
  std::memcpy(to, take_segment(bytes, false)->data(), bytes);
}

std::shared_ptr<Storage> MessageContent::take_segment(std::size_t bytes, bool writable) {
  Received& segment = received_[next_++];
  if (segment.place.number == 0) return std::move(segment.storage);
  // Nobody else uses the file but where it is to be shared.
  return files_.map(segment.place, bytes, writable, true);
}

}  // namespace hoist::detail::multiprocess
