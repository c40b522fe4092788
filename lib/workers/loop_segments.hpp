// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <list>
#include <memory>
#include <span>

#include "workers/payload.hpp"
#include "workers/worker_process.hpp"

namespace hoist::detail::workers {

/// The large arguments of one loop, each put into shared memory once, however many tasks and
/// workers get it. Used by one thread.
class LoopSegments {
 public:
  /// `tasks_write`: what tasks write reaches the other tasks, and must not reach the caller's
  /// memory.
  LoopSegments(std::size_t shared_from, std::filesystem::path temp_folder, bool tasks_write)
      : shared_from_(shared_from),
        temp_folder_(std::move(temp_folder)),
        tasks_write_(tasks_write) {}

  /// The number by which `worker` knows these bytes; tells it, if it doesn't. 0: send them inline.
  SegmentPlace place(const Segment& segment, WorkerProcess& worker);

  bool empty() const { return shared_.empty(); }
  /// There are as many as should be: sweep().
  bool full() const { return shared_.size() >= max_segments; }
  /// Lets go of segments whose arrays are gone and, where there are too many, of those that were
  /// not used for the longest time, here and in the workers.
  void sweep(std::span<const std::shared_ptr<WorkerProcess>> workers);
  /// Makes a worker forget all that no later loop can use.
  static void forget_all(WorkerProcess& worker);

 private:
  struct Shared {
    std::uint64_t identity = 0;
    std::weak_ptr<Storage> owner;  // of an array: same storage, same bytes
    const Storage* storage = nullptr;
    os::Fd fd;
    std::uint64_t file_offset = 0;  // of the storage's first byte, or of the copy's
    const std::byte* data = nullptr;
    std::size_t bytes = 0;
    std::shared_ptr<Storage> copy;  // of bytes that nobody owns: compared by content
  };

  const Shared& find(const Segment& segment);
  Shared share_array(const Segment& segment);

  std::size_t shared_from_;
  std::filesystem::path temp_folder_;
  bool tasks_write_;
  std::list<Shared> shared_;  // latest used first
};

/// What write_payload asks, for one worker.
class WorkerSegments final : public SegmentSender {
 public:
  WorkerSegments(LoopSegments& segments, WorkerProcess& worker)
      : segments_(segments), worker_(worker) {}
  SegmentPlace place(const Segment& segment) override;

 private:
  std::size_t placed_ = 0;
  LoopSegments& segments_;
  WorkerProcess& worker_;
};

}  // namespace hoist::detail::workers
