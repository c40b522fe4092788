// SPDX-License-Identifier: BSD-3-Clause
#include "codecs/chunked.hpp"

#include <algorithm>
#include <cstring>

#include "base/run_ordered.hpp"
#include "os/run_parallel.hpp"

namespace hoist::detail::codecs {

namespace {

/// Small writes are compressed when this many chunks per thread have been collected.
constexpr std::size_t gather_chunks = 4;
/// This many chunks before the end of the present data, chunks get smaller.
constexpr std::size_t tail_chunks = 4;

}  // namespace

ChunkedSink::ChunkedSink(ByteSink& out, std::size_t chunk_bytes, unsigned threads,
                         std::size_t least_bytes)
    : out_(out),
      chunk_bytes_(chunk_bytes),
      least_bytes_(least_bytes == 0 ? chunk_bytes : least_bytes),
      threads_(os::transfer_threads(threads)) {}

/// One sequence of jobs for both spans: with one for each, threads would be idle at the end of the
/// first.
void ChunkedSink::run(std::span<const std::byte> first, std::span<const std::byte> bytes) {
  if (first.empty() && bytes.empty()) return;
  if (!begun_) begin();
  begun_ = true;
  struct Slot {
    std::span<const std::byte> chunk;
    std::vector<std::byte> out;
    std::uint32_t result = 0;
  };
  std::vector<Slot> slots(base::ordered_slots(threads_));
  base::run_ordered(
      threads_,
      {
          .start =
              [&](std::size_t i) {
                const bool at_end = first.size() + bytes.size() <= tail_chunks * chunk_bytes_;
                auto& from = first.empty() ? bytes : first;
                if (from.empty()) return false;
                slots[i].chunk =
                    from.first(std::min(from.size(), at_end ? least_bytes_ : chunk_bytes_));
                from = from.subspan(slots[i].chunk.size());
                return true;
              },
          .work = [&](std::size_t i) { slots[i].result = compress(slots[i].chunk, slots[i].out); },
          .finish =
              [&](std::size_t i) {
                out_.write(slots[i].out);
                chunk_written(slots[i].result, slots[i].chunk.size());
              },
      });
}

void ChunkedSink::write(std::span<const std::byte> bytes) {
  const std::size_t most = gather_chunks * threads_ * chunk_bytes_;
  while (!bytes.empty()) {
    // If much follows, only the current chunk is completed; the rest need not be copied.
    const bool much = bytes.size() > 2 * chunk_bytes_;
    const std::size_t begun = gathered_.size() % chunk_bytes_;
    const std::size_t room = !much        ? most - gathered_.size()
                             : begun == 0 ? 0
                                          : chunk_bytes_ - begun;
    const auto piece = bytes.first(std::min(bytes.size(), room));
    gathered_.insert(gathered_.end(), piece.begin(), piece.end());
    bytes = bytes.subspan(piece.size());
    if (bytes.empty()) return;
    // A single chunk is held back, because it may be the whole data.
    const std::size_t whole = much ? (bytes.size() - 1) / chunk_bytes_ * chunk_bytes_ : 0;
    run(gathered_, bytes.first(whole));
    gathered_.clear();
    bytes = bytes.subspan(whole);
  }
}

void ChunkedSink::finish() {
  if (!begun_ && gathered_.size() <= chunk_bytes_) {
    write_single(gathered_);
    return;
  }
  run(gathered_, {});
  gathered_ = {};
  end();
}

ChunkedSource::ChunkedSource(ByteSource& in, unsigned threads)
    : input_(in), threads_(os::transfer_threads(threads)), units_(base::ordered_slots(threads_)) {}

std::size_t ChunkedSource::read(std::byte* to, std::size_t n) {
  std::size_t done = 0;
  while (done < n) {
    if (rest_at_ < rest_.size()) {
      const std::size_t piece = std::min(n - done, rest_.size() - rest_at_);
      std::memcpy(to + done, rest_.data() + rest_at_, piece);
      rest_at_ += piece;
      done += piece;
    } else if (sequential_) {
      return done + sequential_->read(to + done, n - done);
    } else if (ended_) {
      break;
    } else {
      rest_.clear();
      rest_at_ = 0;
      done += run(to + done, n - done);
    }
  }
  return done;
}

std::size_t ChunkedSource::run(std::byte* to, std::size_t n) {
  std::size_t assigned = 0;
  std::size_t done = 0;
  bool in_place = true;  // until the size or the destination of a unit is unknown
  bool misdivided = false;
  std::vector<std::byte> again;
  bool go_sequential = false;
  const auto start = [&](std::size_t i) {
    if (assigned >= n || misdivided || go_sequential || ended_) return false;
    Unit& unit = units_[i];
    unit.place = nullptr;
    unit.failed = false;
    const Next what = next(input_, unit);
    ended_ = what == Next::end;
    go_sequential = what == Next::sequential;
    if (what != Next::unit) return false;
    if (in_place && unit.exact && unit.bytes <= n - assigned) {
      unit.place = to + assigned;
    } else {
      in_place = false;
    }
    assigned += static_cast<std::size_t>(unit.bytes);
    return true;
  };
  const auto finish = [&](std::size_t i) {
    Unit& unit = units_[i];
    if (misdivided || unit.failed) {
      misdivided = true;
      again.insert(again.end(), unit.in.begin(), unit.in.end());
      return;
    }
    const std::span<const std::byte> bytes =
        unit.place != nullptr ? std::span<const std::byte>(unit.place, unit.bytes) : unit.out;
    unit_read(unit, bytes);
    if (unit.place == nullptr) {
      const std::size_t now = std::min(n - done, bytes.size());
      if (now > 0) std::memcpy(to + done, bytes.data(), now);
      rest_.insert(rest_.end(), bytes.begin() + static_cast<std::ptrdiff_t>(now), bytes.end());
      done += now;
    } else {
      done += bytes.size();
    }
  };
  base::run_ordered(
      threads_,
      {.start = start, .work = [&](std::size_t i) { decompress(units_[i]); }, .finish = finish});
  if (misdivided) {
    input_.put_back(again);
    ended_ = false;
  }
  if (misdivided || go_sequential) sequential_ = sequential(input_);
  return done;
}

}  // namespace hoist::detail::codecs
