// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/connection.hpp>
#include <hoist/detail/managed.hpp>

#include <atomic>
#include <cstdint>

#include "os/process_id.hpp"

namespace hoist::detail::managers {

/// What all who have a link to a server know of it.
struct LinkState {
  std::uint64_t number = 0;  // no other server has it
  std::atomic<os::ProcessId> server{0};
};

inline LinkState& state_of(const ManagerLink& link) { return link.block().as<LinkState>(); }

/// An end of a pipe between a client and its thread in the server. `other` is the process at the
/// other end; 0 if it isn't known.
class Connection final : public ConnectionHandle, public Peers {
 public:
  Connection(ConnectionHandle handle, os::ProcessId other)
      : ConnectionHandle(std::move(handle)), other_(other), creator_(os::own_process()) {}

  /// Throw EndOfStream.
  void send(MessageRoom& room) const { out().put(room, Deadline::max(), this); }
  void send(MessageRoom& room, Encoder& encoder) const {
    out().put(room, encoder, Deadline::max(), this);
  }
  void receive(MessageRoom& room) const { in().get(room, Deadline::max(), this); }
  /// Whether it was made by this process.
  bool is_own() const { return creator_ == os::own_process(); }

  bool are_gone() const override { return has_died_.load() || peers().are_gone(); }
  void look() const override {
    // Its end may still be under way, and nobody's.
    if (other_ != 0 && !os::is_running(other_)) has_died_.store(true);
    peers().look();
  }

 private:
  const os::ProcessId other_;
  const os::ProcessId creator_;
  mutable std::atomic<bool> has_died_{false};
};

/// Serves until nobody has the link, or its queue of clients is closed.
void serve(const ManagerLink& link);

// In a server, for itself.
bool is_served_here(const ManagerLink& link);
void retain_here(std::uint64_t object);
void release_here(std::uint64_t object);
void lend_here(std::uint64_t object);

}  // namespace hoist::detail::managers
