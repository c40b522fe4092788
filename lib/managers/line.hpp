// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/connection.hpp>
#include <hoist/detail/managed.hpp>
#include <hoist/detail/socket_stream.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "os/process_id.hpp"

namespace hoist::detail::managers {

/// What those who share memory with a server know of it.
struct LinkState {
  std::uint64_t number = 0;
  std::atomic<os::ProcessId> server{0};
  std::array<char, 256> address{};  // where it listens, if it does
  std::size_t failure_bytes = 0;    // why it could not start
  std::array<std::byte, 2048> failure{};
};

inline LinkState& state_of(const ManagerLink& link) { return link.block().as<LinkState>(); }

/// A client of a server: a process. By the address of a server it is known by a number that it has
/// chosen.
struct Client {
  bool is_remote = false;
  std::uint64_t number = 0;  // os::ProcessId

  auto operator<=>(const Client&) const = default;
};

/// Between a client and its thread in the server: requests one way, replies the other. Its
/// functions throw EndOfStream when the other side is gone.
class Line {
 public:
  virtual ~Line() = default;
  virtual void send(MessageRoom& room, Encoder& encoder) = 0;
  /// Valid as long as the room.
  virtual std::shared_ptr<DecodeSource> receive(MessageRoom& room) = 0;
  /// Whether what it carries has to do without shared memory.
  virtual bool leads_out() const = 0;
  virtual bool is_over() const = 0;
  /// Likewise, after a look.
  virtual bool has_ended() const = 0;
  /// Whether it was made by this process, and not by one that has forked it.
  bool is_own() const { return creator_ == os::own_process(); }

 private:
  const os::ProcessId creator_ = os::own_process();
};

class PipeLine final : public Line, public ConnectionHandle, public Peers {
 public:
  /// `other` is the process at the other end.
  PipeLine(ConnectionHandle handle, os::ProcessId other)
      : ConnectionHandle(std::move(handle)), other_(other) {}

  void send(MessageRoom& room, Encoder& encoder) override {
    out().put(room, encoder, Deadline::max(), this);
  }
  std::shared_ptr<DecodeSource> receive(MessageRoom& room) override {
    in().get(room, Deadline::max(), this);
    return {std::shared_ptr<void>(), &room.source()};
  }
  bool leads_out() const override { return false; }
  bool is_over() const override { return are_gone(); }
  bool has_ended() const override {
    look();
    return are_gone();
  }

  bool are_gone() const override { return has_died_.load() || peers().are_gone(); }
  void look() const override {
    // Its end may still be under way, and nobody's.
    if (!os::is_running(other_)) has_died_.store(true);
    peers().look();
  }

 private:
  const os::ProcessId other_;
  mutable std::atomic<bool> has_died_{false};
};

class SocketLine final : public Line, public SocketStream {
 public:
  explicit SocketLine(SocketStream stream) : SocketStream(std::move(stream)) {}

  void send(MessageRoom& room, Encoder&) override;
  std::shared_ptr<DecodeSource> receive(MessageRoom&) override;
  /// Null at the deadline.
  std::shared_ptr<DecodeSource> receive_until(Deadline deadline);
  bool leads_out() const override { return true; }
  bool is_over() const override { return over_; }
  bool has_ended() const override { return over_ || is_broken(); }
  /// For the number of a server.
  void send_number(std::uint64_t number);
  /// Of one by which nothing comes: whether the other side is gone.
  bool is_broken() const { return poll_until(Deadline()); }
  /// In a forked child: leaves it to the parent.
  void forget() { leave(); }

 private:
  bool over_ = false;
};

std::uint64_t random_number();

/// While it lives, what this thread encodes is for a process that shares no memory with this one.
class SendingOut {
 public:
  explicit SendingOut(bool out) noexcept;
  SendingOut(const SendingOut&) = delete;
  SendingOut& operator=(const SendingOut&) = delete;
  ~SendingOut();

 private:
  const bool before_;
};

/// Connects to the server of a link by its address. While this process uses the server, it keeps
/// another connection, by whose end the server knows of this process's.
std::shared_ptr<Line> connect_by_socket(const ManagerLink& link);
/// A link to the server that listens at an address. Throws as connect() does.
ManagerLink link_to(const std::string& address, const std::optional<std::string>& authkey,
                    std::chrono::milliseconds timeout);

/// Serves until the queue of clients is closed.
void serve(const ManagerLink& link);

// In a server, for itself.
bool is_served_here(const ManagerLink& link);
const ManagerLink* link_served_here(std::uint64_t number);
void retain_here(std::uint64_t object);
void release_here(std::uint64_t object);
void lend_here(std::uint64_t object);

}  // namespace hoist::detail::managers
