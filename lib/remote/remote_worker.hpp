// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "remote/host.hpp"
#include "workers/worker_process.hpp"

namespace hoist::detail::remote {

class Hosts;

/// A worker on another machine: its host passes on what is said, in both directions.
class RemoteWorker final : public workers::WorkerProcess {
 public:
  /// Has the host start one. With the lock of `hosts` held, which outlives it.
  RemoteWorker(Hosts& hosts, std::shared_ptr<Host> host, std::uint32_t number,
               const WorkerOptions& options, unsigned threads);
  /// Once the host knows it. Throws CannotTravel for an initializer that can't be sent.
  void initialize(const WorkerOptions& options) { send_initializer(options.initializer); }

  Host& host() const { return *host_; }

  bool send(ipc::Kind kind, std::span<const std::byte> content) override;
  std::uint64_t share(std::uint32_t number, const workers::SharedBytes& bytes) override;
  void ring() override;
  bool has_room(std::size_t bytes) override;
  bool has_input() const override { return waiting_.load(std::memory_order_acquire) > 0; }
  std::chrono::microseconds round_trip() const override { return host_->round_trip; }
  std::size_t receive(const ipc::FrameHandler& handle, std::size_t limit) override;
  void receive_unsent(const ipc::FrameHandler& handle) override;
  void use_bell(std::size_t number) override { bell_.store(number); }
  void use_news(std::shared_ptr<workers::News> news, unsigned worker) override;
  std::uint64_t begun() override;
  std::optional<std::uint64_t> stop_before_next() override;
  void take_output(ipc::Clock::time_point deadline) override;
  void ask_to_leave() override;
  void kill() override { kill_in_task(0); }
  void kill_in_task(std::uint64_t number) override;

  // For the hosts, which hold their lock.

  /// Takes what the host says of the worker, and rings.
  void arrived(ipc::Kind kind, std::span<const std::byte> content);
  /// It has ended, or its host is lost.
  void died(workers::WorkerEnd end);
  /// Whether a loop has it.
  bool leased = false;
  void set_begun(std::uint64_t tasks) { begun_.store(tasks, std::memory_order_release); }

 private:
  struct Frame {
    ipc::Kind kind{};
    std::vector<std::byte> content;
    BlobStore::Blob blob = {};  // of a frame `segment`
  };
  BlobStore::Blob take_blob(std::span<const std::byte> content);
  void add_segment(Frame& frame);

  Hosts& hosts_;
  const std::shared_ptr<Host> host_;
  const std::uint32_t number_;
  std::atomic<std::size_t> bell_{0};
  std::shared_ptr<workers::News> news_;  // with the lock of the hosts
  unsigned number_in_news_ = 0;
  std::deque<Frame> inbox_;
  std::atomic<std::size_t> waiting_{0};  // frames in it
  std::atomic<std::uint64_t> begun_{0};
  std::vector<std::byte> unsent_;
  std::map<std::uint32_t, Digest> shared_;  // what the host has for it, by the worker's number
  std::atomic<bool> has_printed_{false};
  std::atomic<bool> flushed_{false};
};

}  // namespace hoist::detail::remote
