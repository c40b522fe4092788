// SPDX-License-Identifier: BSD-3-Clause
#include "workers/loop_segments.hpp"

#include <hoist/error.hpp>

#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "ipc/shared_bytes.hpp"
#include "os/fork_hook.hpp"
#include "os/memory_file.hpp"

namespace hoist::detail::workers {

namespace {

/// Arguments that no array owns (vectors, strings) are recognised by content among the latest few.
constexpr std::size_t max_copies = 8;

std::uint64_t new_identity() {
  static std::atomic<std::uint64_t> next{1};
  return next.fetch_add(1);
}

os::Fd duplicate(int fd) {
  os::Fd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!copy) throw SystemError("can't share an array with a worker process", errno);
  return copy;
}

Storage::Passing passing_of(const Segment& segment) {
  return segment.owner != nullptr ? segment.owner->passing() : Storage::Passing::by_size;
}

/// Shared values have the same identity in all loops, so that a worker decodes them once.
std::uint64_t identity_of(const Segment& segment) {
  if (passing_of(segment) != Storage::Passing::mapped) return new_identity();
  struct Known {
    std::mutex mutex;
    std::vector<std::pair<std::weak_ptr<Storage>, std::uint64_t>> identities;
    os::ForkHook fork_hook{mutex};
  };
  static Known& known = *new Known;
  const std::lock_guard lock(known.mutex);
  std::erase_if(known.identities, [](const auto& one) { return one.first.expired(); });
  for (const auto& [storage, identity] : known.identities) {
    if (storage.lock() == segment.owner) return identity;
  }
  return known.identities.emplace_back(segment.owner, new_identity()).second;
}

}  // namespace

LoopSegments::Shared LoopSegments::share_array(const Segment& segment) {
  Shared shared;
  shared.identity = identity_of(segment);
  shared.bytes = segment.bytes;
  shared.data = segment.data;
  const auto& owner = segment.owner;
  if (owner != nullptr) {
    shared.owner = owner;
    shared.storage = owner.get();
    if (const auto backing = owner->backing(); backing.fd >= 0) {
      shared.fd = duplicate(backing.fd);
      shared.file_offset =
          backing.offset + static_cast<std::uint64_t>(segment.data - owner->data());
      return shared;
    }
    if (owner->passing() == Storage::Passing::written) throw_writes_lost();
  }
  // The array lives on the copy from now on: it isn't in memory twice, and later loops need no
  // copy.
  const bool moves = !tasks_write_ && owner != nullptr && segment.data == owner->data() &&
                     segment.bytes == owner->bytes();
  os::PartCopied moved;
  if (moves) {
    moved = [&owner](int fd, std::size_t at, std::size_t bytes) {
      owner->move_part_to_copy(fd, at, bytes);
    };
  }
  shared.fd = os::memory_copy("hoist-array", {segment.data, segment.bytes}, temp_folder_, moved);
  if (moves) owner->move_to_copy(shared.fd.get());
  if (owner == nullptr) {
    shared.copy = ipc::map_segment(shared.fd.get(), 0, segment.bytes, os::MapAs::read_only);
  }
  return shared;
}

const LoopSegments::Shared& LoopSegments::find(const Segment& segment) {
  const auto same = [&](const Shared& shared) {
    if (shared.bytes != segment.bytes) return false;
    if (segment.owner != nullptr) {
      return shared.storage == segment.owner.get() && shared.data == segment.data &&
             !shared.owner.expired();
    }
    return shared.copy != nullptr &&
           std::memcmp(shared.copy->data(), segment.data, segment.bytes) == 0;
  };
  const auto at = std::find_if(shared_.begin(), shared_.end(), same);
  if (at != shared_.end()) {
    shared_.splice(shared_.begin(), shared_, at);
  } else {
    shared_.push_front(share_array(segment));
  }
  return shared_.front();
}

SegmentPlace LoopSegments::place(const Segment& segment, WorkerProcess& worker) {
  const Storage::Passing passing = passing_of(segment);
  if (segment.bytes < shared_from_ && passing == Storage::Passing::by_size) return {};
  const Shared& shared = find(segment);
  KnownSegment& known = worker.known_segments[shared.identity];
  if (known.number == 0) {
    const std::uint32_t number = worker.next_segment++;
    SharedBytes bytes{.fd = shared.fd.get(),
                      .offset = shared.file_offset,
                      .bytes = shared.bytes,
                      .written = passing == Storage::Passing::written,
                      .identity = shared.identity};
    if (passing == Storage::Passing::mapped) {
      // All parts of a shared value have one identity.
      bytes.offset -= static_cast<std::uint64_t>(segment.data - segment.owner->data());
      bytes.bytes = segment.owner->bytes();
      known.kept = shared.owner;
    }
    known.origin = worker.share(number, bytes);
    known.number = number;
  }
  return {known.number, shared.file_offset - known.origin};
}

SegmentPlace WorkerSegments::place(const Segment& segment) {
  // A single task with very many would have them all at once.
  if (placed_ == max_segments) {
    if (passing_of(segment) == Storage::Passing::written) throw_writes_lost();
    return {};
  }
  const SegmentPlace place = segments_.place(segment, worker_);
  placed_ += place.number != 0 ? 1 : 0;
  return place;
}

void LoopSegments::sweep(std::span<const std::shared_ptr<WorkerProcess>> workers) {
  std::size_t kept = 0;
  std::size_t copies = 0;
  for (auto at = shared_.begin(); at != shared_.end();) {
    const bool gone = at->storage != nullptr ? at->owner.expired() : ++copies > max_copies;
    if (!gone && ++kept < max_segments) {
      ++at;
      continue;
    }
    for (const auto& worker : workers) {
      if (worker == nullptr) continue;
      const auto known = worker->known_segments.find(at->identity);
      if (known == worker->known_segments.end()) continue;
      ipc::FieldWriter frame;
      frame.put(known->second.number);
      // In order with the tasks: those that use it have run when the worker gets to this.
      worker->send(ipc::Kind::forget_segment, frame.bytes());
      worker->known_segments.erase(known);
    }
    at = shared_.erase(at);
  }
}

void LoopSegments::forget_all(WorkerProcess& worker) {
  const bool too_many = worker.known_segments.size() > max_segments;
  const std::size_t forgotten = std::erase_if(worker.known_segments, [&](const auto& known) {
    if (!too_many && !known.second.kept.expired()) return false;
    ipc::FieldWriter frame;
    frame.put(known.second.number);
    worker.send(ipc::Kind::forget_segment, frame.bytes());
    return true;
  });
  if (forgotten > 0) worker.ring();
}

}  // namespace hoist::detail::workers
