// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/worker.hpp>

#include <sys/types.h>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "ipc/link.hpp"
#include "os/child_watch.hpp"
#include "workers/output_lines.hpp"
#include "workers/payload.hpp"

namespace hoist::detail::workers {

/// How a worker ended.
struct WorkerEnd {
  os::ChildEnd how;
  std::string last_lines;  ///< of its stderr
};

/// A memory file that a worker was sent.
struct KnownSegment {
  std::uint32_t number = 0;     ///< the worker's
  std::weak_ptr<Storage> kept;  ///< set if it serves later loops, too
};

/// A worker process as its parent sees it. One thread at a time speaks to it; the supervisor
/// watches its life and output.
class WorkerProcess {
 public:
  /// Starts one, without waiting for it to answer. `threads` limits what numeric libraries use.
  static std::shared_ptr<WorkerProcess> start(const WorkerOptions& options, unsigned threads);
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;
  ~WorkerProcess();

  int pid() const { return static_cast<int>(pid_); }
  /// The path of the hoist-worker that it runs; empty if it runs this program.
  const std::string& host() const { return host_; }
  int pidfd() const { return watch_.fd(); }
  bool dead() const { return dead_.load(std::memory_order_acquire); }
  /// Meaningful once dead().
  const WorkerEnd& end() const { return end_; }

  /// Sends a frame. False where the worker is dead.
  bool send(ipc::Kind kind, std::span<const std::byte> content, int fd = -1);
  void ring() { link_.ring(); }
  /// Whether frames of so many bytes in all can be sent without waiting.
  bool has_room(std::size_t bytes) { return link_.has_room(bytes); }
  bool has_input() const { return link_.has_input(); }
  /// Handles frames; those of segments and of start are handled here. The worker may wait for the
  /// room they took: ring().
  std::size_t receive(const ipc::FrameHandler& handle, std::size_t limit);
  /// When nothing is left to receive: handles the results that it has not sent yet. Unless it is
  /// dead, they will come again, at the beginning of its next frame of results.
  void receive_unsent(const ipc::FrameHandler& handle);
  /// Which of this process's bells the worker rings, and this end sleeps on.
  void use_bell(std::size_t number);
  /// Tasks that the worker has begun since it started.
  std::uint64_t begun() const { return memory_.state().begun.load(std::memory_order_acquire); }
  /// Keeps it from beginning more of the tasks that it was sent: from the frame `resume` on, which
  /// is sent here, it goes on. Returns what begun() remains until then; empty where that can't be
  /// done.
  std::optional<std::uint64_t> stop_before_next();

  /// The worker's number for a function, which it is told at the first call.
  std::uint32_t function_number(const void* address);
  /// Tells the worker of modules that addresses were taken in since the last time.
  void announce_modules();
  SegmentTable& segments() { return segments_; }

  /// Asks it to leave once it is done with what it has.
  void ask_to_leave();
  bool asked_to_leave() const { return asked_to_leave_.load(); }
  /// Ends it and the processes it started.
  void kill();

  /// For the supervisor: takes output; where the process has ended, collects it. True: dead now.
  /// Never blocks: every wait for a worker is ended by this.
  bool watch();
  OutputLines& output() { return *output_; }
  OutputLines& errors() { return *errors_; }

  // What lives on from one loop to the next.
  std::uint64_t received = 0;  ///< results, in the order of tasks
  std::uint32_t next_callable = 1;
  std::map<std::uint64_t, KnownSegment> known_segments;  ///< by identity
  std::uint32_t next_segment = 1;
  /// Variables that were compared with the worker's, by address: what they held here.
  std::map<std::uint64_t, Digest> compared_variables;
  std::vector<std::byte> context;  ///< content of the last such frame
  bool ready = false;
  ipc::Clock::time_point started{};
  ipc::Clock::time_point idle_since{};

 private:
  WorkerProcess() = default;

  pid_t pid_ = -1;
  std::string host_;
  os::ChildWatch watch_;
  os::Fd socket_;
  ipc::ChannelMemory memory_;
  ipc::Link link_;
  std::size_t bell_ = 0;
  SegmentTable segments_;
  std::map<const void*, std::uint32_t> functions_;
  std::size_t announced_ = 1;  // the main program is known
  std::shared_ptr<OutputLines> output_;
  std::shared_ptr<OutputLines> errors_;
  std::mutex end_mutex_;  // of who signals the process or collects it
  WorkerEnd end_;
  std::atomic<bool> dead_{false};
  std::atomic<bool> asked_to_leave_{false};
};

}  // namespace hoist::detail::workers
