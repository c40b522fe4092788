// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "remote/transport.hpp"

namespace hoist::detail::slurm {

/// Messages by files in a directory that all machines share. Each end has a folder, into which
/// others rename what is for it; it reads, checks and removes that. Who has nothing to say says so
/// every two seconds; who is silent for ten is lost. docs/formats/slurm.md has the files.
///
/// A thread looks into the folder, sooner after something has happened than when nothing does.
class FileTransport final : public remote::Transport {
 public:
  enum class Role { master, host };
  /// Makes the directory if it is the master; throws SystemError if it can't, or, in a host, if
  /// there is none.
  FileTransport(std::filesystem::path directory, Role role);
  ~FileTransport() override;

  void send(remote::Peer to, std::vector<std::byte> message) override;
  std::size_t unsent(remote::Peer to) const override;
  bool poll(Events& events) override;
  void drop(remote::Peer peer) override;
  /// A master removes the directory once all hosts have gone, or after a few seconds.
  void close() override;
  std::chrono::microseconds round_trip() const override { return std::chrono::milliseconds(5); }
  /// For a host: whether it has heard of its master, and whether that has fallen silent since.
  bool has_heard() const;
  bool is_abandoned() const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Event {
    enum class Kind { joined, message, lost } kind{};
    remote::Peer peer = 0;
    std::vector<std::byte> bytes = {};
    std::string text = {};
  };
  /// The other end of a conversation.
  struct Link {
    std::string folder;             // where it looks
    std::uint64_t written = 0;      // files for it
    std::uint64_t read = 0;         // files of it
    std::deque<std::size_t> sizes;  // of files for it that it has not confirmed, the latest last
    std::size_t unconfirmed = 0;    // their sum
    std::deque<std::vector<std::byte>> waiting;
    std::size_t waiting_bytes = 0;
    std::size_t read_since = 0;  // bytes since it was told how much was read
    Clock::time_point heard{};
    Clock::time_point told{};
    bool is_dropped = false;
  };

  void run();
  bool scan();
  bool read(const std::string& file, const std::string& from, std::uint64_t number);
  bool flush(Clock::time_point now);
  int write(Link& link, std::uint32_t flags);
  void look_for_silence(Clock::time_point now);
  void lose(remote::Peer peer, const std::string& why);
  void stop_thread();

  const std::filesystem::path directory_;
  const Role role_;
  const std::string name_;  // of the folder in which this end looks
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<remote::Peer, Link> links_;
  std::map<std::string, remote::Peer> peers_;  // by folder
  std::vector<Event> events_;
  remote::Peer last_peer_ = 0;
  std::uint64_t temporaries_ = 0;
  Clock::time_point active_{};  // when something has happened last
  bool is_closed_ = false;
  bool has_heard_ = false;
  bool is_abandoned_ = false;
  std::jthread thread_;
};

}  // namespace hoist::detail::slurm
