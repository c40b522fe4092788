// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <mutex>

#include "workers/output_lines.hpp"
#include "workers/worker_process.hpp"

namespace hoist::detail::workers {

/// A worker that is a child of this process, spoken to by shared memory. The supervisor watches its
/// life and output.
class LocalWorker final : public WorkerProcess {
 public:
  /// Where what it prints goes; by default to this process's stdout and stderr.
  struct Outputs {
    OutputLines::Put output;
    OutputLines::Put errors;
  };

  /// Starts one, without waiting for it to answer. `threads` limits what numeric libraries use.
  static std::shared_ptr<LocalWorker> start(const WorkerOptions& options, unsigned threads,
                                            Outputs outputs = {});
  ~LocalWorker() override;

  int pidfd() const { return watch_.fd(); }
  bool send(ipc::Kind kind, std::span<const std::byte> content) override {
    return send(kind, content, -1);
  }
  std::uint64_t share(std::uint32_t number, const SharedBytes& bytes) override;
  void ring() override { link_.ring(); }
  bool has_room(std::size_t bytes) override { return link_.has_room(bytes); }
  bool has_input() const override { return link_.has_input(); }
  std::size_t receive(const ipc::FrameHandler& handle, std::size_t limit) override;
  void receive_unsent(const ipc::FrameHandler& handle) override;
  void use_bell(std::size_t number) override;
  std::uint64_t begun() override { return memory_.state().begun.load(std::memory_order_acquire); }
  std::optional<std::uint64_t> stop_before_next() override;
  void take_output(ipc::Clock::time_point deadline) override;
  void ask_to_leave() override;
  bool asked_to_leave() const { return asked_to_leave_.load(); }
  void kill() override;
  void kill_in_task(std::uint64_t number) override {
    if (begun() <= number) kill();
  }

  /// For the supervisor: takes output; where the process has ended, collects it. True: dead now.
  /// Never blocks: every wait for a worker is ended by this.
  bool watch();
  OutputLines& output() { return *output_; }
  OutputLines& errors() { return *errors_; }

 private:
  LocalWorker() = default;
  bool send(ipc::Kind kind, std::span<const std::byte> content, int fd);

  os::ChildWatch watch_;
  os::Fd socket_;
  ipc::ChannelMemory memory_;
  ipc::Link link_;
  std::size_t bell_ = 0;
  std::shared_ptr<OutputLines> output_;
  std::shared_ptr<OutputLines> errors_;
  std::mutex end_mutex_;  // of who signals the process or collects it
  std::atomic<bool> asked_to_leave_{false};
};

}  // namespace hoist::detail::workers
