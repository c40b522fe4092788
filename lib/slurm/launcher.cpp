// SPDX-License-Identifier: BSD-3-Clause
#include "slurm/launcher.hpp"

#include <hoist/error.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "base/quoted.hpp"
#include "os/log.hpp"
#include "os/machine_name.hpp"
#include "os/termination.hpp"
#include "remote/worker_host.hpp"
#include "slurm/file_transport.hpp"
#include "slurm/fleet.hpp"
#include "slurm/job_cores.hpp"
#include "slurm/queue.hpp"
#include "workers/supervisor.hpp"

namespace hoist::detail::slurm {

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

/// Once the first host has joined, the others of an allocation are expected within that time.
constexpr auto others_patience = std::chrono::seconds(10);
/// Slurm tells when there is nothing left to wait for.
constexpr std::chrono::milliseconds queue_patience = std::chrono::hours(24 * 365);

/// A host that finds its master silent but alive, stopped by its user perhaps, waits so long.
constexpr auto longest_silence = std::chrono::minutes(10);

/// Locked by the master as long as it lives.
os::Fd open_lock(const fs::path& directory, int flags) {
  os::Fd lock(::open((directory / "master").c_str(), O_RDWR | O_CLOEXEC | flags, 0600));
  if (lock && ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) lock.reset();
  return lock;
}

/// Whether a master is known to live. Not where locks don't reach other nodes.
bool lives(const fs::path& directory) {
  return ::access((directory / "master").c_str(), F_OK) == 0 && !open_lock(directory, 0);
}

/// Hosts that end and jobs that begin make files in it by its name, which is taken away first.
void remove_directory(const fs::path& directory) noexcept {
  std::error_code error;
  fs::path removed = directory;
  removed += "-removed";
  fs::rename(directory, removed, error);
  for (int i = 0; i < 5 && fs::exists(removed, error); ++i) fs::remove_all(removed, error);
}

/// What carries the messages, and the hosts that Slurm starts for it.
class FleetTransport final : public remote::Transport {
 public:
  FleetTransport(std::unique_ptr<remote::Transport> carrier, const SlurmOptions& options,
                 std::string variable, std::string value, fs::path directory)
      : carrier_(std::move(carrier)),
        directory_(std::move(directory)),
        lock_(open_lock(directory_, O_CREAT)),
        fleet_(options, std::move(variable), std::move(value), directory_, [this] { wake(); }) {
    carrier_->set_wake([this] { wake(); });
  }

  void send(remote::Peer to, std::vector<std::byte> message) override {
    carrier_->send(to, std::move(message));
  }
  std::size_t unsent(remote::Peer to) const override { return carrier_->unsent(to); }
  bool poll(Events& events) override {
    fleet_.want();
    Counting counting(*this, events);
    return carrier_->poll(counting);
  }
  void drop(remote::Peer peer) override { carrier_->drop(peer); }
  void close() override {
    fleet_.stop();
    carrier_->close();
    fleet_.finish();
    remove_directory(directory_);
  }
  std::chrono::microseconds poll_interval() const override { return carrier_->poll_interval(); }
  std::chrono::microseconds round_trip() const override { return carrier_->round_trip(); }
  std::chrono::milliseconds patience() const override { return arrival_patience(); }
  std::chrono::milliseconds arrival_patience() const override {
    return fleet_.failure().empty() ? queue_patience : std::chrono::milliseconds(0);
  }
  std::string why_none() const override { return fleet_.failure(); }
  bool is_complete() const override {
    if (!fleet_.failure().empty()) return true;
    // All may have left since the last loop, by their time limit for example.
    if (here_.empty() && fleet_.replaces()) return false;
    return joined_ >= fleet_.expected() ||
           (joined_ > 0 && Clock::now() - first_joined_ > others_patience);
  }

 private:
  /// Passes on what is told.
  class Counting final : public Events {
   public:
    Counting(FleetTransport& transport, Events& to) : transport_(transport), to_(to) {}
    void joined(remote::Peer peer, const std::string& name) override {
      if (transport_.joined_++ == 0) transport_.first_joined_ = Clock::now();
      transport_.fleet_.note_joined();
      transport_.here_.insert(peer);
      to_.joined(peer, name);
    }
    void received(remote::Peer peer, std::span<const std::byte> message) override {
      to_.received(peer, message);
    }
    void lost(remote::Peer peer, const std::string& why) override {
      transport_.here_.erase(peer);
      to_.lost(peer, why);
    }

   private:
    FleetTransport& transport_;
    Events& to_;
  };

  const std::unique_ptr<remote::Transport> carrier_;
  const fs::path directory_;
  const os::Fd lock_;
  Fleet fleet_;
  unsigned joined_ = 0;
  // Those that were dropped stay: others in their place would be dropped, too.
  std::set<remote::Peer> here_;
  Clock::time_point first_joined_{};
};

/// A new one, on a file system that all nodes share.
fs::path make_directory(const SlurmOptions& options) {
  fs::path in = options.directory;
  const char* const folder = std::getenv("HOIST_TEMP_FOLDER");
  if (in.empty()) in = folder != nullptr && *folder != '\0' ? fs::path(folder) : fs::path(".");
  std::error_code error;
  fs::create_directories(in, error);
  const fs::path made = fs::absolute(in) / new_name();
  if (::mkdir(made.c_str(), 0700) != 0) {
    throw SystemError("can't make the directory \"" + made.string() +
                          "\" for messages between nodes (SlurmOptions::directory)",
                      errno);
  }
  return made;
}

/// The transport of this host, which has another when it joins again.
struct Current {
  std::mutex mutex;
  std::shared_ptr<FileTransport> transport;
};

/// Leaves in order when it is told to end: its master hears of it, and its workers end with it.
void leave_at_termination(Current& current) {
  os::at_termination([&current] {
    const std::lock_guard lock(current.mutex);
    if (current.transport != nullptr) current.transport->close();
    std::fflush(nullptr);
    ::_exit(0);
  });
}

}  // namespace

remote::Hosts& launch_hosts(const SlurmOptions& options) {
  const fs::path directory = make_directory(options);
  const fs::path messages = directory / "messages";
  try {
    auto carrier = std::make_unique<FileTransport>(messages, FileTransport::Role::master);
    return *new remote::Hosts(
        "slurm", std::make_unique<FleetTransport>(std::move(carrier), options, host_variable,
                                                  messages.string(), directory));
  } catch (...) {
    remove_directory(directory);
    throw;
  }
}

void run_host(const fs::path& messages) {
  static Current current;
  try {
    leave_at_termination(current);
    const unsigned cores = cores_of_job();
    std::error_code error;
    const fs::path directory = messages.parent_path();
    auto silent_since = Clock::time_point::max();
    bool locks_reach = false;
    if (!fs::exists(messages, error)) {
      throw Error(base::quoted(messages.string()) + " is not on " + os::machine_name() +
                  ": either its program has ended meanwhile, or SlurmOptions::directory is not one "
                  "that all nodes share");
    }
    for (bool is_on = true; is_on && fs::exists(messages, error);) {
      locks_reach = locks_reach || lives(directory);
      const auto transport = std::make_shared<FileTransport>(messages, FileTransport::Role::host);
      {
        const std::lock_guard lock(current.mutex);
        current.transport = transport;
      }
      remote::WorkerHost host(*transport, {.slots = cores, .cores = cores});
      host.run();
      const std::lock_guard lock(current.mutex);
      current.transport = nullptr;
      transport->close();
      if (host.was_refused()) throw Error("its program is another build");
      if (!transport->is_abandoned()) break;
      const auto now = Clock::now();
      silent_since = transport->has_heard() ? now : std::min(silent_since, now);
      // It may have been the file system that was silent, or this machine: another try.
      const bool alive = lives(directory);
      is_on = locks_reach ? alive && now < silent_since + longest_silence : transport->has_heard();
      // Nobody else is left who would.
      if (!is_on && !alive) fs::remove_all(directory, error);
    }
    workers::Supervisor::here().end_all();
  } catch (const std::exception& error) {
    os::log(LogLevel::error, "workers", std::string("worker host: ") + error.what());
    ::_exit(1);
  }
  std::fflush(nullptr);
  ::_exit(0);
}

}  // namespace hoist::detail::slurm
