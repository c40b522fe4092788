// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/error.hpp>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "remote/printed.hpp"
#include "remote/wire.hpp"
#include "workers/local_worker.hpp"

namespace hoist::detail::remote {

/// One worker of a host: passes frames on between its master and its process.
class HostWorker {
 public:
  /// Starts a process by the options in a frame `start`. `send_printed` puts what workers have
  /// printed into their masters' outboxes. All references outlive it.
  HostWorker(std::uint32_t number, Peer master, Outbox& to_master, const BlobStore& blobs,
             Printed& printed, std::function<void()> send_printed, std::size_t bell,
             std::span<const std::byte> options);

  /// Takes a frame of the master.
  void take(ipc::Kind kind, std::span<const std::byte> content);
  /// Moves along what can be moved. Returns whether anything was. A worker that says what no worker
  /// says is killed.
  bool forward();
  void ring() { process_->ring(); }
  bool has_news() const { return has_input() || process_->dead(); }
  /// Once true, its end has been told.
  bool has_ended() const { return has_ended_; }
  const std::shared_ptr<workers::LocalWorker>& process() { return process_; }

 private:
  bool has_input() const { return !is_broken_ && process_->has_input(); }
  bool move();
  void pass_to_worker(ipc::Kind kind, std::span<const std::byte> content);
  void deliver(ipc::Kind kind, std::span<const std::byte> content, const os::Fd& blob);
  void stop();
  bool receive();
  void pass_to_master(ipc::Kind kind, std::span<const std::byte> content);
  std::uint64_t count_results(std::span<const std::byte> frame);
  void put_timed(ipc::Kind kind, std::span<const std::byte> content);
  void pass_part(workers::SegmentTable::Taken& part);
  void send_frames();
  bool flush();
  void give_up(const Error& error);
  void tell_end();

  const std::uint32_t number_;
  Outbox& to_master_;
  const BlobStore& blobs_;
  const std::function<void()> send_printed_;
  std::shared_ptr<workers::LocalWorker> process_;
  struct Frame {
    ipc::Kind kind{};
    std::vector<std::byte> content;
    os::Fd blob;
  };
  std::deque<Frame> waiting_;      // for room in the worker's ring
  std::vector<std::byte> frames_;  // for the master
  std::uint64_t known_ = 0;        // results of its next frame that were passed on already
  std::uint64_t parts_ = 0;        // large parts of results so far
  bool is_ready_ = false;
  bool flushes_ = false;
  bool is_broken_ = false;  // it is not listened to any more
  bool has_ended_ = false;
};

}  // namespace hoist::detail::remote
