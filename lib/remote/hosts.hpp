// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "backends/worker_source.hpp"
#include "remote/host.hpp"
#include "remote/transport.hpp"
#include "workers/idle_workers.hpp"

namespace hoist::detail::remote {

/// The worker hosts of this program, from which its loops have their workers. Whoever waits for a
/// worker moves the messages of all.
class Hosts final : public backends::WorkerSource, private Transport::Events {
 public:
  /// `name` is the backend's, for messages to the user.
  Hosts(std::string name, std::unique_ptr<Transport> transport);
  ~Hosts() override;

  std::shared_ptr<workers::WorkerProcess> lease(const WorkerOptions& options, unsigned threads,
                                                bool crowd) override;
  void give_back(std::shared_ptr<workers::WorkerProcess> worker, const WorkerOptions& options,
                 unsigned threads, std::size_t keep) override;
  unsigned capacity() const override { return capacity_.load(std::memory_order_relaxed); }
  bool tells_news() const override { return true; }
  unsigned threads_each(unsigned workers) const override;
  void flush() override { poll(); }
  void wait(std::size_t bell, ipc::Clock::time_point deadline, const std::function<bool()>& ready,
            bool soon) override;

  /// How many workers the hosts are for, at least 1; waits until those that have joined have said
  /// so. Throws Error if there are none.
  unsigned slots();
  /// What hosts there are at the moment, in a line.
  std::string explain() const;
  /// Has all workers leave and all hosts end. For the end of the program.
  void end();

  // For workers.

  std::mutex& mutex() { return mutex_; }
  /// Of bytes that are known to loops by this number.
  Digest digest_of(std::uint64_t identity, const std::function<std::shared_ptr<Storage>()>& map);

 private:
  using Clock = ipc::Clock;

  void joined(Peer peer, const std::string& name) override;
  void received(Peer peer, std::span<const std::byte> message) override;
  void lost(Peer peer, const std::string& why) override;

  void take(Host& host, ipc::Kind kind, std::uint32_t worker, std::span<const std::byte> content);
  void greet(Host& host, std::span<const std::byte> content);
  void refuse(Host& host, const std::string& why);
  void print(Host& host, std::span<const std::byte> content);
  bool poll();
  bool poll_locked();
  std::shared_ptr<Host> freest() const;
  void set_use(Host& host, unsigned slots, std::size_t leased);
  void end_lease(RemoteWorker& worker);
  void died(RemoteWorker& worker, workers::WorkerEnd end);
  std::string why_none() const;

  const std::string name_;
  std::mutex idle_mutex_;  // taken before the other
  std::map<Peer, workers::IdleWorkers> idle_;
  mutable std::mutex mutex_;  // of all that follows
  std::unique_ptr<Transport> transport_;
  std::map<Peer, std::shared_ptr<Host>> hosts_;
  /// Of the hosts that take workers: the load and the number of each.
  std::set<std::pair<double, Peer>> loads_;
  std::atomic<unsigned> capacity_{0};  // written with the lock held
  bool has_lost_ = false;              // hosts that idle_ may have
  std::uint32_t last_worker_ = 0;
  Clock::time_point alone_since_ = Clock::time_point::max();  // while a loop asks in vain
  std::string why_none_;                     // what became of the last one that was lost or refused
  std::map<std::uint64_t, Digest> digests_;  // by identity
};

}  // namespace hoist::detail::remote
