// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/backend.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "os/working_place.hpp"
#include "slurm/frame_file.hpp"
#include "slurm/journal.hpp"
#include "workers/loop_segments.hpp"
#include "workers/worker_process.hpp"

namespace hoist::detail::slurm {

namespace kind {
using ipc::Kind;
// Beside the frames that a worker gets, which are passed on to it, and those that it sends:
inline constexpr Kind start{96};  // the worker: its options; how long a task may take
inline constexpr Kind task{97};   // key of the task in the next frame
inline constexpr Kind took{98};   // of a result: nanoseconds
}  // namespace kind

/// What the chunks of a loop have in common.
class LoopParts {
 public:
  LoopParts(Loop& its_loop, const Journal& its_journal);

  /// Sees to it that the journal has the bytes; returns how they are called there.
  Digest put_blob(const workers::SharedBytes& bytes);
  /// The digest of an encoded value; of arrays that many tasks share it is computed once.
  Digest digest_of(const Encoder& encoded);

  Loop& loop;
  const Journal& journal;
  const os::WorkingPlace place = os::working_place();
  workers::LoopSegments segments;
  std::map<OpenCallable, Digest> callables;  ///< what their tasks share

 private:
  struct Known {
    std::weak_ptr<Storage> owner;
    Digest digest;
  };
  std::map<std::uint64_t, Digest> blobs_;  // by identity
  std::map<std::pair<const std::byte*, std::size_t>, Known> arrays_;
};

/// Writes what the worker of an array element is told: as a loop speaks to any worker, but into a
/// file, and to none that could answer.
class ChunkWriter final : public workers::WorkerProcess {
 public:
  explicit ChunkWriter(LoopParts& parts);

  /// Encodes a task. Throws CannotTravel if it can't be sent.
  TaskKey encode(std::size_t task);
  /// Appends the task that was encoded last.
  void append(const TaskKey& key, unsigned attempt);
  const std::vector<TaskKey>& tasks() const { return keys_; }
  void write(const std::filesystem::path& path);

  bool send(ipc::Kind kind, std::span<const std::byte> content) override;
  std::uint64_t share(std::uint32_t number, const workers::SharedBytes& bytes) override;
  void ring() override {}
  bool has_room(std::size_t) override { return true; }
  bool has_input() const override { return false; }
  std::size_t receive(const ipc::FrameHandler&, std::size_t) override { return 0; }
  void receive_unsent(const ipc::FrameHandler&) override {}
  void use_bell(std::size_t) override {}
  std::uint64_t begun() override { return 0; }
  std::optional<std::uint64_t> stop_before_next() override { return std::nullopt; }
  void take_output(ipc::Clock::time_point) override {}
  void ask_to_leave() override {}
  void kill() override {}
  void kill_in_task(std::uint64_t) override {}

 private:
  LoopParts& parts_;
  std::vector<Frame> frames_;
  std::vector<TaskKey> keys_;
  PortableCode code_;  // of the task that was encoded last
  std::map<OpenCallable, std::uint32_t> callables_;
  Encoder encoder_;
};

}  // namespace hoist::detail::slurm
