// SPDX-License-Identifier: BSD-3-Clause
#include "workers/payload.hpp"

#include <hoist/error.hpp>

#include <cstring>
#include <functional>
#include <string>
#include <utility>

#include "ipc/shared_bytes.hpp"

namespace hoist::detail::workers {

void throw_writes_lost() {
  throw CannotTravel(
      "there are too many locks, shared values and arrays mapped read_write for all of their files "
      "to be kept open, and what a task writes to a copy would be lost: pass fewer of them");
}

SegmentSender::~SegmentSender() = default;

void write_payload(ipc::FieldWriter& to, std::span<const std::byte> meta,
                   std::span<const Segment> segments, SegmentSender* sender) {
  to.put(static_cast<std::uint32_t>(segments.size()));
  for (const Segment& segment : segments) {
    const SegmentPlace place = sender != nullptr ? sender->place(segment) : SegmentPlace{};
    to.put(place.number);
    to.put(place.offset);
    to.put(static_cast<std::uint64_t>(segment.bytes));
    if (place.number == 0) to.append(segment.data, segment.bytes);
  }
  to.append(meta.data(), meta.size());
}

std::shared_ptr<Storage> SegmentTable::Entry::map_written(std::uint64_t offset, std::size_t size) {
  if (size == 0) {  // a descriptor, as Encoder::descriptor passes it
    if (shared == nullptr) shared = ipc::keep_descriptor(std::move(fd));
    return shared;
  }
  if (shared == nullptr || shared->backing().offset != offset || shared->bytes() != size) {
    shared = ipc::map_segment(fd.get(), offset, size, os::MapAs::shared);
    shared->set_passing(Storage::Passing::written);
  }
  return shared;
}

void SegmentTable::add(std::uint32_t number, os::Fd fd, std::uint64_t bytes, bool written) {
  const auto size = bytes == 0 ? 0 : os::regular_size(fd.get());
  if (!size || *size < bytes) {
    throw DamagedData("a shared array is shorter than announced");
  }
  const std::lock_guard lock(mutex_);
  empty_.store(false, std::memory_order_release);
  entries_[number] = {.fd = std::move(fd), .bytes = *size, .written = written};
}

void SegmentTable::add(std::uint32_t number, std::shared_ptr<Storage> written) {
  const std::uint64_t end = written->backing().offset + written->bytes();
  const std::lock_guard lock(mutex_);
  empty_.store(false, std::memory_order_release);
  entries_[number] = {.bytes = end, .written = true, .shared = std::move(written)};
}

void SegmentTable::refuse(std::uint32_t number) {
  const std::lock_guard lock(mutex_);
  empty_.store(false, std::memory_order_release);
  entries_[number] = {.refused = true};
}

std::shared_ptr<Storage> SegmentTable::forget(std::uint32_t number) {
  const std::lock_guard lock(mutex_);
  const auto node = entries_.extract(number);
  return node ? node.mapped().read_only : nullptr;
}

void SegmentTable::clear() {
  if (empty_.load(std::memory_order_acquire)) return;
  const std::lock_guard lock(mutex_);
  entries_.clear();
  empty_.store(true, std::memory_order_release);
}

std::vector<SegmentTable::Taken> SegmentTable::take_all() {
  std::vector<Taken> all;
  if (empty_.load(std::memory_order_acquire)) return all;
  const std::lock_guard lock(mutex_);
  for (auto& [number, entry] : entries_) {
    all.push_back({number, std::move(entry.fd), entry.bytes, entry.written});
  }
  entries_.clear();
  empty_.store(true, std::memory_order_release);
  return all;
}

std::shared_ptr<Storage> SegmentTable::map(SegmentPlace place, std::size_t bytes, bool writable,
                                           bool adopt) {
  const std::lock_guard lock(mutex_);
  const auto at = entries_.find(place.number);
  if (at != entries_.end() && at->second.refused) {
    throw CannotTravel(
        "the result leads to memory that processes of another machine share (a lock, a queue, a "
        "shared value or array): return a copy of what is in there");
  }
  if (at == entries_.end() || place.offset > at->second.bytes ||
      at->second.bytes - place.offset < bytes) {
    Decoder::throw_damaged();
  }
  Entry& entry = at->second;
  if (entry.written && writable) return entry.map_written(place.offset, bytes);
  if (adopt) return ipc::map_segment(entry.fd.get(), place.offset, bytes, os::MapAs::shared);
  if (writable) return map_writable(entry, place.offset, bytes);
  // Readers share one mapping: its page tables are filled once, not once a task.
  const auto& known = entry.read_only;
  if (known == nullptr || known->backing().offset != place.offset || known->bytes() != bytes) {
    entry.read_only = ipc::map_segment(entry.fd.get(), place.offset, bytes, os::MapAs::read_only);
    entry.read_only->set_passing(Storage::Passing::mapped);
  }
  return entry.read_only;
}

std::shared_ptr<Storage> SegmentTable::map_writable(const Entry& entry, std::uint64_t offset,
                                                    std::size_t bytes) const {
  const MmapMode mode = argument_mode_.load(std::memory_order_relaxed);
  const int fd = entry.fd.get();
  if (mode == MmapMode::none) {
    const auto mapped = ipc::map_segment(fd, offset, bytes, os::MapAs::read_only);
    auto own = allocate_storage(bytes, Fill::none);
    std::memcpy(own->data(), mapped->data(), bytes);
    return own;
  }
  if (mode == MmapMode::read) {
    throw BadArgument(
        "an array argument that a task could write to can't be mapped read-only (mmap_mode is "
        "read): let the task take Array<const T>, or use copy_on_write");
  }
  if (mode == MmapMode::copy_on_write) {
    return ipc::map_segment(fd, offset, bytes, os::MapAs::private_copy);
  }
  return ipc::map_segment(fd, offset, bytes, os::MapAs::shared);
}

std::size_t receive_frames(ipc::Link& link, SegmentTable& segments, const ipc::FrameHandler& handle,
                           std::size_t limit) {
  const auto take = [&](ipc::Kind kind, std::span<const std::byte> content) {
    if (kind != ipc::Kind::segment) return handle(kind, content);
    ipc::FieldReader fields(content);
    const auto number = fields.get<std::uint32_t>();
    const bool written = fields.get<std::uint32_t>() != 0;
    segments.add(number, link.take_descriptor(), fields.get<std::uint64_t>(), written);
  };
  // By reference: a function object that holds the captures themselves would be allocated.
  return link.receive(std::cref(take), limit);
}

ipc::FieldWriter announcement(std::uint32_t number, std::uint64_t bytes, bool written) {
  ipc::FieldWriter frame;
  frame.put(number);
  frame.put(static_cast<std::uint32_t>(written));
  frame.put(bytes);
  return frame;
}

void PayloadSource::read_pieces(ipc::FieldReader& reader, std::uint32_t n) {
  for (; n > 0; --n) {
    Piece piece;
    piece.place.number = reader.get<std::uint32_t>();
    piece.place.offset = reader.get<std::uint64_t>();
    piece.bytes = reader.get<std::uint64_t>();
    if (piece.place.number == 0) piece.inline_bytes = reader.take(piece.bytes);
    pieces_.push_back(piece);
  }
}

std::span<const std::byte> PayloadSource::next_meta() { return std::exchange(meta_, {}); }

void PayloadSource::expect_segment(std::size_t bytes) {
  if (next_ >= pieces_.size() || pieces_[next_].bytes != bytes) Decoder::throw_damaged();
}

void PayloadSource::read_segment(std::byte* to, std::size_t bytes) {
  const Piece& piece = pieces_[next_++];
  if (piece.place.number == 0) {
    std::memcpy(to, piece.inline_bytes.data(), bytes);
  } else {
    const auto storage = table_.map(piece.place, bytes, false, false);
    std::memcpy(to, storage->data(), bytes);
  }
}

std::shared_ptr<Storage> PayloadSource::take_segment(std::size_t bytes, bool writable) {
  const Piece& piece = pieces_[next_++];
  if (piece.place.number != 0) return table_.map(piece.place, bytes, writable, adopt_);
  auto storage = allocate_storage(bytes, Fill::none);
  std::memcpy(storage->data(), piece.inline_bytes.data(), bytes);
  return storage;
}

}  // namespace hoist::detail::workers
