// SPDX-License-Identifier: BSD-3-Clause
#include "workers/loop_segments.hpp"

#include <hoist/error.hpp>

#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "ipc/shared_bytes.hpp"
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

}  // namespace

LoopSegments::Shared LoopSegments::share_array(const Segment& segment) {
  Shared shared;
  shared.identity = new_identity();
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
    shared.copy = map_segment(shared.fd.get(), 0, segment.bytes, os::MapAs::read_only);
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
  if (segment.bytes < shared_from_) return {};
  const Shared& shared = find(segment);
  const auto [at, is_new] = worker.known_segments.emplace(shared.identity, worker.next_segment);
  if (is_new) {
    ++worker.next_segment;
    const auto frame = announcement(at->second, shared.file_offset + shared.bytes);
    worker.send(ipc::Kind::segment, frame.bytes(), shared.fd.get());
  }
  return {at->second, shared.file_offset};
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
      frame.put(known->second);
      // In order with the tasks: those that use it have run when the worker gets to this.
      worker->send(ipc::Kind::forget_segment, frame.bytes());
      worker->known_segments.erase(known);
    }
    at = shared_.erase(at);
  }
}

void LoopSegments::forget_all(WorkerProcess& worker) {
  for (const auto& [identity, number] : worker.known_segments) {
    ipc::FieldWriter frame;
    frame.put(number);
    worker.send(ipc::Kind::forget_segment, frame.bytes());
  }
  if (!worker.known_segments.empty()) worker.ring();
  worker.known_segments.clear();
}

}  // namespace hoist::detail::workers
