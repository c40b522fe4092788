// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "remote/host_worker.hpp"
#include "remote/transport.hpp"
#include "remote/wire.hpp"

namespace hoist::detail::remote {

/// What a worker host offers.
struct HostSize {
  unsigned slots = 1;  ///< workers at a time
  unsigned cores = 1;  ///< that they may use
};

/// Runs tasks of masters in worker processes of its own: it starts these as masters ask for, and
/// passes frames on between a master and its workers. It decodes no task. What a task may do to its
/// worker it can't do to the host.
class WorkerHost final : private Transport::Events {
 public:
  WorkerHost(Transport& transport, HostSize size);
  /// Serves from when the first master joins until the last one is lost. Workers of a master that
  /// is lost are killed.
  void run();
  /// Serves whoever joins, until the transport says that the host is to leave and the tasks that
  /// its workers had by then are done.
  void run_until_told();
  /// Whether a master wanted nothing of it, as another one of that program would.
  bool was_refused() const { return was_refused_; }

 private:
  struct Master {
    Master(Transport& transport, Peer peer) : outbox(transport, peer) {}
    Outbox outbox;
    Inbox inbox;
    BlobStore blobs;
    std::map<std::uint32_t, std::unique_ptr<HostWorker>> workers;
    bool is_ending = false;
  };

  void joined(Peer peer, const std::string& name) override;
  void received(Peer peer, std::span<const std::byte> message) override;
  void lost(Peer peer, const std::string& why) override;

  void take(Peer peer, Master& master, ipc::Kind kind, std::uint32_t worker,
            std::span<const std::byte> content);
  void start(Peer peer, Master& master, std::uint32_t worker, std::span<const std::byte> options);
  void step(ipc::Clock::time_point deadline);
  bool forward(Master& master);
  bool send_printed();
  void wait(std::uint32_t seen, ipc::Clock::time_point deadline) const;
  void leave();
  void tell_leaving(Master& master);
  void publish(ipc::Clock::time_point now);
  bool has_news() const;

  Transport& transport_;
  const HostSize size_;
  std::map<Peer, Master> masters_;
  bool had_master_ = false;  // which may be lost in the poll in which it joined
  const std::shared_ptr<Printed> printed_;
  ipc::Clock::time_point idle_since_ = ipc::Clock::now();
  bool is_leaving_ = false;
  bool was_refused_ = false;
  std::uint64_t tasks_of_ended_ = 0;  // that workers had begun which have ended
  std::uint64_t published_tasks_ = 0;
  ipc::Clock::time_point published_{};
  const ipc::Clock::time_point started_ = ipc::Clock::now();
};

}  // namespace hoist::detail::remote
