// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/worker.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ipc/link.hpp"
#include "os/child_watch.hpp"
#include "workers/news.hpp"
#include "workers/payload.hpp"

namespace hoist::detail::workers {

/// How a worker ended.
struct WorkerEnd {
  os::ChildEnd how;
  std::string last_lines;    ///< of its stderr
  std::string machine = {};  ///< where it ran; empty for a child of this process
  /// Set where the worker may not have ended, but nothing more will be heard from its machine: why.
  std::string lost = {};
};

/// Bytes in a file that a worker is to have.
struct SharedBytes {
  int fd = -1;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  bool written = false;        ///< what tasks write is to reach the file
  std::uint64_t identity = 0;  ///< different bytes have different ones
};

/// What a worker was sent of a memory file.
struct KnownSegment {
  std::uint32_t number = 0;     ///< the worker's
  std::uint64_t origin = 0;     ///< where in the file here its bytes begin there
  std::weak_ptr<Storage> kept;  ///< set if it serves later loops, too
};

/// A worker process as loops see it, wherever it runs. Frames of one kind reach it in order and are
/// answered in order; the implementations differ in what carries them. One thread at a time speaks
/// to it.
class WorkerProcess {
 public:
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;
  virtual ~WorkerProcess() = default;

  int pid() const { return static_cast<int>(pid_); }
  /// The path of the hoist-worker that it runs; empty if it runs this program.
  const std::string& host() const { return host_; }
  /// Where it runs, as WorkerEnd has it.
  const std::string& machine() const { return machine_; }
  bool dead() const { return dead_.load(std::memory_order_acquire); }
  /// Meaningful once dead().
  const WorkerEnd& end() const { return end_; }

  /// Sends a frame. False where the worker is dead.
  virtual bool send(ipc::Kind kind, std::span<const std::byte> content) = 0;
  /// Lets it know these bytes by this number, as a file of its own. Returns the offset here that is
  /// the beginning of that file. Throws CannotTravel if it can't have them.
  virtual std::uint64_t share(std::uint32_t number, const SharedBytes& bytes) = 0;
  /// Sees to it that what was sent is looked at: at once, or when WorkerSource::flush is called.
  virtual void ring() = 0;
  /// Whether frames of so many bytes in all can be sent without waiting.
  virtual bool has_room(std::size_t bytes) = 0;
  /// About how long an answer takes, where that is longer than what a frame costs.
  virtual std::chrono::microseconds round_trip() const { return {}; }
  virtual bool has_input() const = 0;
  /// Handles frames; those of segments and of start are handled here. The worker may wait for the
  /// room they took: ring().
  virtual std::size_t receive(const ipc::FrameHandler& handle, std::size_t limit) = 0;
  /// When nothing is left to receive: handles the results that it has not sent yet. Unless it is
  /// dead, they will come again, at the beginning of its next frame of results.
  virtual void receive_unsent(const ipc::FrameHandler& handle) = 0;
  /// Which of this process's bells is rung when there is something to receive.
  virtual void use_bell(std::size_t number) = 0;
  /// Where its source tells news: adds `worker` when there is something to receive where there was
  /// nothing, and when it dies.
  virtual void use_news(std::shared_ptr<News>, unsigned /*worker*/) {}
  /// Tasks that the worker has begun since it started, as far as is known here by now: exactly,
  /// where it is dead.
  virtual std::uint64_t begun() = 0;
  /// Keeps it from beginning more of the tasks that it was sent: from the frame `resume` on, which
  /// is sent here, it goes on. Returns what begun() remains until then; empty where that can't be
  /// done, or where the answer is a frame `stopped` (`stopping` until then).
  virtual std::optional<std::uint64_t> stop_before_next() = 0;
  /// Returns when what it has printed so far is in the OutputWriters of this process, or at the
  /// deadline.
  virtual void take_output(ipc::Clock::time_point deadline) = 0;

  /// Asks it to leave once it is done with what it has.
  virtual void ask_to_leave() = 0;
  /// Ends it and the processes it started.
  virtual void kill() = 0;
  /// Likewise, unless it has begun more tasks than that, as begun() counts them: the last of them
  /// is to be ended.
  virtual void kill_in_task(std::uint64_t number) = 0;

  /// The worker's number for a function, which it is told at the first call.
  std::uint32_t function_number(const void* address);
  /// Tells the worker of modules that addresses were taken in since the last time.
  void announce_modules();
  SegmentTable& segments() { return segments_; }

  // What lives on from one loop to the next.
  std::uint64_t received = 0;  ///< results, in the order of tasks
  std::uint32_t next_callable = 1;
  std::map<std::uint64_t, KnownSegment> known_segments;  ///< by identity
  std::uint32_t next_segment = 1;
  /// Variables that were compared with the worker's, by address: what they held here.
  std::map<std::uint64_t, Digest> compared_variables;
  std::vector<std::byte> context;  ///< content of the last such frame
  bool ready = false;
  bool stopping = false;
  bool initialized = false;  ///< its initializer is done, if it has one
  ipc::Clock::time_point started{};
  ipc::Clock::time_point idle_since{};

 protected:
  WorkerProcess() = default;
  /// Has it make its state, before all else.
  void send_initializer(const WorkerInitializer& initializer);

  pid_t pid_ = -1;
  std::string host_;
  std::string machine_;
  SegmentTable segments_;
  WorkerEnd end_;  // written before dead_
  std::atomic<bool> dead_{false};

 private:
  std::map<const void*, std::uint32_t> functions_;
  std::size_t announced_ = 1;  // the main program is known
};

}  // namespace hoist::detail::workers
