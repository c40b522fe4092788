// SPDX-License-Identifier: BSD-3-Clause
#include "multiprocess/message_ring.hpp"

#include <hoist/error.hpp>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "multiprocess/shared_store.hpp"
#include "os/memory_file.hpp"
#include "os/memory_left.hpp"

namespace hoist::detail::multiprocess {

namespace {

enum Flags : std::uint32_t {
  first = 1,  // of a message's records
  last = 2,
  jump = 4,  // no record: what follows is in the next chunk
};

/// The mark of a record: its content's size below, its flags above.
constexpr std::uint64_t mark_of(std::uint32_t flags, std::size_t bytes) {
  return std::uint64_t{flags} << 32U | bytes;
}
constexpr std::uint32_t flags_of(std::uint64_t mark) {
  return static_cast<std::uint32_t>(mark >> 32U);
}
constexpr std::size_t bytes_of(std::uint64_t mark) { return static_cast<std::uint32_t>(mark); }

/// To ask how much memory there is costs more than a few chunks are worth.
constexpr std::size_t worth_a_look = std::size_t{4} << 20;

// What a Place can tell apart.
constexpr std::size_t most_bytes = std::size_t{32} << 30;
constexpr std::size_t most_messages = std::size_t{1} << 30;

constexpr std::size_t header = sizeof(std::uint64_t);
/// The first of several records begins with the size of the message.
constexpr std::size_t series_header = sizeof(std::uint64_t);
/// No piece of a message is made smaller than that only to fill up a chunk.
constexpr std::size_t min_piece = 4096;

constexpr std::uint32_t grains(std::size_t content) {
  return static_cast<std::uint32_t>((header + content + MessageRing::grain - 1) /
                                    MessageRing::grain);
}

std::uint64_t chunks_needed(const MessageRing& ring, std::uint64_t bytes) {
  const std::size_t in_chunk = ring.chunk_bytes - MessageRing::grain - header;
  return (bytes + series_header + in_chunk - 1) / in_chunk;
}

/// Copies `bytes` bytes of the pieces in a row, from byte `from` on.
void copy_pieces(std::byte* to, std::span<const Bytes> pieces, std::uint64_t from,
                 std::size_t bytes) {
  for (const Bytes piece : pieces) {
    if (from >= piece.size()) {
      from -= piece.size();
      continue;
    }
    const std::size_t n = std::min(bytes, piece.size() - static_cast<std::size_t>(from));
    if (n > 0) std::memcpy(to, piece.data() + from, n);
    to += n;
    bytes -= n;
    from = 0;
    if (bytes == 0) return;
  }
}

std::uint64_t total(std::span<const Bytes> pieces) {
  std::uint64_t bytes = 0;
  for (const Bytes piece : pieces) bytes += piece.size();
  return bytes;
}

/// The place behind a record; behind the last of a message there is one message more.
Place behind(Place place, std::uint64_t mark) {
  const bool ends_message = (flags_of(mark) & last) != 0;
  return {place.grain + grains(bytes_of(mark)), place.count + (ends_message ? 1 : 0)};
}

}  // namespace

std::size_t MessageRing::chunk_for(std::size_t max_bytes) {
  max_bytes = std::min(max_bytes, most_bytes);
  return std::max(min_chunk, std::bit_ceil(max_bytes / max_chunks + 1));
}

std::size_t MessageRing::chunks_for(std::size_t max_bytes) {
  const std::size_t chunk = chunk_for(max_bytes);
  max_bytes = std::min(max_bytes, most_bytes);
  return std::clamp<std::size_t>(max_bytes / chunk + (max_bytes % chunk != 0 ? 1 : 0), 2,
                                 max_chunks);
}

MessageRing::MessageRing(std::size_t max_items, std::size_t max_bytes)
    : chunk_bytes(static_cast<std::uint32_t>(chunk_for(max_bytes))),
      chunks(static_cast<std::uint32_t>(chunks_for(max_bytes))),
      max_messages(static_cast<std::uint32_t>(std::min(max_items, most_messages))) {}

std::size_t RingView::size() const {
  const std::uint32_t written = ring.tail.load().count;
  const std::uint32_t read = ring.head.load().count;
  // What a writer has sent that died before it counted it may be read already.
  const auto waiting = static_cast<std::int32_t>(written - read);
  return waiting > 0 ? static_cast<std::size_t>(waiting) : 0;
}

void RingView::reserve(std::uint32_t from, std::uint32_t to) const {
  const auto before = static_cast<std::size_t>(data - storage.data());
  const std::size_t begin = before + std::size_t{from} * ring.chunk_bytes;
  const std::size_t end = before + std::size_t{to} * ring.chunk_bytes;
  // If memory ran out, the kernel would kill this process or another.
  const bool is_short = end - begin >= worth_a_look && end - begin > os::memory_left();
  const int error = is_short ? ENOMEM : os::reserve_space(storage.backing().fd, end, begin);
  if (error != 0) throw SystemError("can't set memory aside for what waits in a queue", error);
}

WriteTurn::WriteTurn(const RingView& view, Clock::time_point deadline)
    : view_(view),
      ring_(view.ring),
      taken_(ring_.write_mutex.take(deadline) != RobustMutex::Taken::no) {
  if (taken_ && ring_.writing.load(std::memory_order_relaxed) != 0) repair();
}

WriteTurn::~WriteTurn() {
  if (!taken_) return;
  if (ring_.streaming.load(std::memory_order_relaxed) != 0) withdraw();
  ring_.write_mutex.release();
}

/// Makes a message that was begun and not completed as if it had not been. Where somebody reads it
/// already, the reader drops it.
void WriteTurn::withdraw() {
  // The reader itself calls this when it has found the writer dead.
  if (!ring_.read_mutex.is_held() &&
      ring_.read_mutex.take(Clock::now() + std::chrono::milliseconds(1)) !=
          RobustMutex::Taken::no) {
    if (ring_.stream_read.load() == 0) {
      const Place start = ring_.stream_start.load();
      ring_.zeros_until = start.grain;
      store(ring_.tail, start);
      about_to_store();
      view_.mark(start.grain).store(0);
    }
    ring_.read_mutex.release();
  }
  store(ring_.streaming, 0U);
  ring_.filled.ring();
}

void WriteTurn::repair() {
  Place place = ring_.tail.load();
  while (const std::uint64_t mark = view_.mark(place.grain).load(std::memory_order_acquire)) {
    if (flags_of(mark) == jump) {
      place.grain = view_.begin_of(ring_.next[view_.chunk_of(place.grain)].load());
    } else {
      place = behind(place, mark);
    }
  }
  ring_.zeros_until = place.grain;
  store(ring_.tail, place);
  if (ring_.streaming.load() != 0) withdraw();
  store(ring_.writing, 0U);
}

/// What a record in the tail's chunk may hold.
std::size_t WriteTurn::room_in_chunk() const {
  const std::uint32_t at = ring_.tail.load(std::memory_order_relaxed).grain;
  const std::size_t left =
      std::size_t{view_.begin_of(view_.chunk_of(at) + 1) - at} * MessageRing::grain;
  // Behind it there is room for another mark.
  return left >= 2 * MessageRing::grain ? left - MessageRing::grain - header : 0;
}

/// Those between the reader and the writer.
std::vector<bool> WriteTurn::used_chunks() {
  ring_.head_seen = ring_.head.load(std::memory_order_acquire);
  std::vector<bool> used(ring_.chunks);
  const std::uint32_t end = view_.chunk_of(ring_.tail.load(std::memory_order_relaxed).grain);
  std::uint32_t chunk = view_.chunk_of(ring_.head_seen.grain);
  for (; chunk != end; chunk = ring_.next[chunk].load(std::memory_order_relaxed)) {
    used[chunk] = true;
  }
  used[end] = true;
  return used;
}

bool RingView::is_outgrown_by(std::uint64_t bytes) const {
  return chunks_needed(ring, bytes) >= ring.chunks;
}

bool WriteTurn::has_room(std::uint64_t bytes, Place& seen) {
  const std::uint32_t count = ring_.tail.load(std::memory_order_relaxed).count;
  if (ring_.max_messages != 0 && count - ring_.head_seen.count >= ring_.max_messages) {
    seen = ring_.head_seen = ring_.head.load(std::memory_order_acquire);
    if (count - seen.count >= ring_.max_messages) return false;
  }
  if (bytes <= room_in_chunk()) return true;
  const std::vector<bool> used = used_chunks();
  seen = ring_.head_seen;
  const auto free = static_cast<std::uint64_t>(std::ranges::count(used, false));
  const std::uint64_t needed = chunks_needed(ring_, bytes);
  return free >= needed || (needed >= ring_.chunks && free >= ring_.chunks - 1);
}

/// The free chunk with the lowest number, so that few are in use where reader keeps up with writer,
/// and stay in the caches. All `chunks` if there is none.
std::uint32_t WriteTurn::take_chunk() {
  const std::vector<bool> used = used_chunks();
  const auto found = std::ranges::find(used, false) - used.begin();
  const auto chunk = static_cast<std::uint32_t>(found);
  if (chunk == ring_.chunks || chunk < ring_.reserved_chunks) return chunk;
  // Many at a time, where many are in use.
  const std::uint32_t more = std::min(ring_.chunks, chunk + 1 + chunk / 4);
  view_.reserve(ring_.reserved_chunks, more);
  about_to_store();
  ring_.reserved_chunks = more;
  return chunk;
}

/// Writes a record; false if there is no chunk for it.
bool WriteTurn::append(std::uint32_t flags, std::span<const Bytes> pieces, std::uint64_t from,
                       std::size_t bytes) {
  const Place tail = ring_.tail.load(std::memory_order_relaxed);
  const std::uint64_t message = (flags & (first | last)) == first ? total(pieces) : 0;
  const std::size_t content = bytes + (message != 0 ? series_header : 0);
  const bool jumps = content > room_in_chunk();
  const std::uint32_t chunk = jumps ? take_chunk() : view_.chunk_of(tail.grain);
  if (chunk == ring_.chunks) return false;
  Place place{jumps ? view_.begin_of(chunk) : tail.grain, tail.count};

  std::byte* to = view_.at(place.grain) + header;
  if (message != 0) {
    std::memcpy(to, &message, sizeof message);
    to += sizeof message;
  }
  copy_pieces(to, pieces, from, bytes);
  const std::uint64_t mark = mark_of(flags, content);
  const Place after = behind(place, mark);
  if (jumps || after.grain >= ring_.zeros_until) {
    // Marks to come, in advance: the line of one may be with a reader, and to get it for each
    // record anew would keep the record waiting.
    const std::size_t n = std::min<std::size_t>(
        4096, std::size_t{view_.begin_of(chunk + 1) - after.grain} * MessageRing::grain);
    std::memset(view_.at(after.grain), 0, n);
    ring_.zeros_until = after.grain + static_cast<std::uint32_t>(n / MessageRing::grain);
  }
  about_to_store();
  view_.mark(place.grain).store(mark, std::memory_order_release);
  if (jumps) {
    store(ring_.next[view_.chunk_of(tail.grain)], static_cast<std::uint16_t>(chunk));
    about_to_store();
    view_.mark(tail.grain).store(mark_of(jump, 0), std::memory_order_release);
  }
  store(ring_.tail, after, std::memory_order_release);
  return true;
}

bool WriteTurn::write(std::span<const Bytes> pieces, Clock::time_point deadline,
                      const std::function<bool()>& is_off, const std::function<void()>& look) {
  const std::uint64_t bytes = total(pieces);
  const std::size_t in_chunk = ring_.chunk_bytes - MessageRing::grain - header;
  store(ring_.writing, 1U, std::memory_order_relaxed);
  if (bytes <= in_chunk && append(first | last, pieces, 0, static_cast<std::size_t>(bytes))) {
    store(ring_.writing, 0U, std::memory_order_relaxed);
    return true;
  }
  store(ring_.stream_start, ring_.tail.load());
  store(ring_.stream_read, 0U);
  store(ring_.streaming, 1U);
  for (std::uint64_t done = 0; done < bytes;) {
    std::size_t room = room_in_chunk();
    if (room < min_piece) room = in_chunk;
    if (done == 0) room -= series_header;
    const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(room, bytes - done));
    const bool is_last = done + n == bytes;
    if (append((done == 0 ? first : 0U) | (is_last ? last : 0U), pieces, done, n)) {
      done += n;
      ring_.filled.ring();
      continue;
    }
    const Place seen = ring_.head_seen;
    const auto read_on = [&] { return ring_.head.load() != seen || is_off(); };
    if (!wait_and_look(ring_.freed, deadline, read_on, look) || is_off()) return false;
  }
  store(ring_.streaming, 0U);
  store(ring_.writing, 0U, std::memory_order_relaxed);
  return true;
}

ReadTurn::ReadTurn(const RingView& view, Clock::time_point deadline)
    : view_(view),
      ring_(view.ring),
      taken_(ring_.read_mutex.take(deadline) != RobustMutex::Taken::no) {}

ReadTurn::~ReadTurn() {
  if (taken_) ring_.read_mutex.release();
}

/// The record at the place, from its beginning.
void ReadTurn::enter(std::uint64_t mark) {
  mark_ = mark;
  from_ = view_.at(place_.grain) + header;
  left_ = bytes_of(mark);
}

/// Goes to the record at the place or where it leads to; false if there is none.
bool ReadTurn::next_record() {
  for (;;) {
    const std::uint64_t mark = view_.mark(place_.grain).load(std::memory_order_acquire);
    if (mark == 0) return false;
    if (flags_of(mark) != jump) {
      enter(mark);
      return true;
    }
    place_.grain = view_.begin_of(ring_.next[view_.chunk_of(place_.grain)].load());
  }
}

/// Lets go of the record at hand.
void ReadTurn::release() {
  if ((flags_of(mark_) & last) == 0) store(ring_.stream_read, 1U);
  place_ = behind(place_, mark_);
  store(ring_.head, place_, std::memory_order_release);
}

void ReadTurn::drop() {
  release();
  ring_.freed.ring();
}

bool ReadTurn::begin() {
  place_ = ring_.head.load(std::memory_order_relaxed);
  for (;;) {
    if (!next_record()) return false;
    if ((flags_of(mark_) & first) != 0) break;
    drop();  // the rest of a message whose reader died or was not interested
  }
  size_ = left_;
  if ((flags_of(mark_) & last) == 0) {
    std::memcpy(&size_, from_, sizeof size_);
    skip(sizeof size_);
  }
  return true;
}

bool ReadTurn::read(void* to, std::size_t bytes) {
  auto* at = static_cast<std::byte*>(to);
  while (bytes > left_) {
    std::memcpy(at, from_, left_);
    at += left_;
    bytes -= left_;
    release();
    ring_.freed.ring();
    const auto goes_on = [&] { return view_.has_record() || ring_.streaming.load() == 0; };
    // A writer that died is found by who takes its mutex.
    const auto look = [&] { const WriteTurn repaired(view_, Clock::time_point::min()); };
    wait_and_look(ring_.filled, Clock::time_point::max(), goes_on, look);
    if (!next_record() || (flags_of(mark_) & first) != 0) return false;
  }
  if (bytes > 0) std::memcpy(at, from_, bytes);
  skip(bytes);
  return true;
}

void ReadTurn::take() { release(); }

}  // namespace hoist::detail::multiprocess
