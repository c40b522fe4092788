// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "os/file.hpp"
#include "remote/transport.hpp"

namespace hoist::detail::mpi {

/// Messages between rank 0 of MPI_COMM_WORLD, the master, and the other ranks, its worker hosts.
/// MPI is initialised, and not finalized before close(). A peer's number is its rank.
class MpiTransport final : public remote::Transport {
 public:
  /// `one_per_machine`: of the ranks on a machine, only the first is to join.
  explicit MpiTransport(bool one_per_machine);
  ~MpiTransport() override;

  void send(remote::Peer to, std::vector<std::byte> message) override;
  std::size_t unsent(remote::Peer to) const override;
  bool poll(Events& events) override;
  void drop(remote::Peer peer) override;
  void close() override;
  std::chrono::microseconds poll_interval() const override { return std::chrono::microseconds(50); }
  std::chrono::microseconds round_trip() const override { return std::chrono::microseconds(500); }
  bool is_complete() const override { return silent_.empty(); }

 private:
  using Clock = std::chrono::steady_clock;
  struct Sent;
  struct Rank {
    std::string name;
    std::size_t unsent = 0;  // bytes
    os::Fd process;          // readable once it has ended, where it is on this machine
    Clock::time_point heard_of;
    bool is_asked = false;  // whether it is there, and has not answered
  };

  void introduce(int rank);
  void take_introduction(int rank, std::span<const std::byte> text, Events& events);
  bool receive(Events& events);
  bool complete_sends();
  void take_introductions(Events& events);
  void look_for_deaths(Events& events);
  void take_questions();
  void look_for_silence(Events& events);
  void lose(int rank, const std::string& why, Events& events);
  void start_send(int rank, int tag, std::vector<std::byte> message);

  int own_rank_ = 0;
  const bool one_per_machine_;
  std::map<int, Rank> ranks_;  // that have joined and are not lost
  std::set<int> alive_;
  std::set<int> ended_;             // that have sent an empty message, as the last
  std::set<int> silent_;            // that have not introduced themselves
  std::set<std::string> machines_;  // of those that have
  std::list<Sent> sent_;            // not completed
  std::vector<std::byte> buffer_;
  Clock::time_point next_look_{};
};

}  // namespace hoist::detail::mpi
