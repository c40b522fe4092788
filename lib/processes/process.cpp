// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>
#include <hoist/process.hpp>

#include <unistd.h>

#include <csignal>
#include <map>
#include <mutex>
#include <utility>

#include "os/fork_hook.hpp"
#include "processes/own_process.hpp"
#include "processes/peer.hpp"
#include "processes/start_process.hpp"

namespace hoist {

namespace detail::processes {

namespace {

enum class Stage { fresh, starting, started, closed };

/// What belongs to a ProcessHandle.
struct Handle {
  Stage stage = Stage::fresh;
  ProcessOptions options;
  std::string number;  // of the child, once it has one
  std::unique_ptr<ProcessWork> work;
  std::shared_ptr<Peer> peer;
};

/// By the address of the object. That is no two handles' at a time, although their class is empty.
struct Handles {
  std::mutex mutex;
  std::map<const ProcessHandle*, Handle> all;
  os::ForkHook fork_hook{mutex};
};

Handles& handles() {
  static auto* const instance = new Handles;
  return *instance;
}

/// A handle's name, which it gets with its number. The mutex is locked.
const std::string& name_of(Handle& handle) {
  if (handle.number.empty()) handle.number = next_child_number();
  if (handle.options.name.empty()) handle.options.name = default_name(handle.number);
  return handle.options.name;
}

void check_open(const Handle& handle) {
  if (handle.stage == Stage::closed) throw BadArgument("this process was closed");
}

/// The process of a handle; null before its start. Throws BadArgument if this isn't its parent.
std::shared_ptr<Peer> find_peer(const ProcessHandle* object) {
  const std::lock_guard lock(handles().mutex);
  const auto at = handles().all.find(object);
  if (at == handles().all.end()) return nullptr;
  check_open(at->second);
  return at->second.peer;
}

std::shared_ptr<Peer> started_peer(const ProcessHandle* object, const char* function) {
  auto peer = find_peer(object);
  if (peer == nullptr) {
    throw BadArgument(std::string(function) + "() of a process that was not started");
  }
  return peer;
}

[[noreturn]] void throw_no_child(const Peer& peer, const char* function) {
  throw BadArgument(std::string(function) + "() of \"" + peer.name() +
                    "\", which is no child of this process: only the one that started it can "
                    "watch it");
}

/// A child of this process, or this process itself.
std::shared_ptr<Peer> watched_peer(const ProcessHandle* object, const char* function) {
  auto peer = started_peer(object, function);
  if (!peer->is_own_child() && peer->pid() != ::getpid()) throw_no_child(*peer, function);
  return peer;
}

/// Of a ProcessInfo, which may also be of a process that this one only knows: its parent.
Peer& watched_peer(const std::shared_ptr<Peer>& known, const char* function) {
  if (known->is_parents_child()) throw_no_child(*known, function);
  return *known;
}

Handle take_handle(const ProcessHandle* object) {
  const std::lock_guard lock(handles().mutex);
  auto node = handles().all.extract(object);
  return node ? std::move(node.mapped()) : Handle{};
}

void let_go(Handle handle) noexcept {
  if (handle.peer == nullptr || !handle.peer->is_own_child()) return;
  try {
    if (handle.peer->daemon()) {
      handle.peer->end(Peer::Clock::now());
    } else {
      handle.peer->wait(Peer::Clock::time_point::max());
    }
  } catch (...) {
    // It can't be waited for.
  }
}

}  // namespace

}  // namespace detail::processes

namespace mp = detail::processes;

void detail::become_own_process(ProcessHandle& object) {
  const std::lock_guard lock(mp::handles().mutex);
  mp::Handle& handle = mp::handles().all[&object];
  handle.stage = mp::Stage::started;
  handle.peer = mp::own_peer();
}

ProcessHandle::ProcessHandle(ProcessHandle&& other) noexcept { *this = std::move(other); }

ProcessHandle& ProcessHandle::operator=(ProcessHandle&& other) noexcept {
  if (this == &other) return *this;
  mp::let_go(mp::take_handle(this));
  const std::lock_guard lock(mp::handles().mutex);
  if (auto node = mp::handles().all.extract(&other)) {
    node.key() = this;
    mp::handles().all.insert(std::move(node));
  }
  return *this;
}

ProcessHandle::~ProcessHandle() { mp::let_go(mp::take_handle(this)); }

void ProcessHandle::set_options(ProcessOptions options) {
  const std::lock_guard lock(mp::handles().mutex);
  mp::Handle& handle = mp::handles().all[this];
  mp::check_open(handle);
  if (handle.stage != mp::Stage::fresh) {
    throw BadArgument("set_options() of a process that was started: call it before start()");
  }
  handle.options = std::move(options);
}

void ProcessHandle::keep(std::unique_ptr<detail::ProcessWork> work, ProcessOptions options) {
  const std::lock_guard lock(mp::handles().mutex);
  mp::Handle& handle = mp::handles().all[this];
  handle.work = std::move(work);
  handle.options = std::move(options);
  mp::name_of(handle);
}

void ProcessHandle::start(detail::ProcessWork* work) {
  std::unique_lock lock(mp::handles().mutex);
  mp::Handle& handle = mp::handles().all[this];
  mp::check_open(handle);
  if (handle.stage != mp::Stage::fresh) {
    throw BadArgument("start() of a process that was started: it starts once; make another");
  }
  if (mp::own_identity().daemon) {
    throw BadArgument("start() in a daemon, which may have no children: they would outlive it");
  }
  if (work == nullptr) work = handle.work.get();
  if (work == nullptr) throw BadArgument("start() of a process that was moved from");
  mp::name_of(handle);
  const ProcessOptions options = handle.options;
  const std::string number = handle.number;
  handle.stage = mp::Stage::starting;
  lock.unlock();
  std::shared_ptr<mp::Peer> peer;
  try {
    peer = mp::start_process(options, number, *work, [this] { detail::become_own_process(*this); });
  } catch (...) {
    lock.lock();
    handle.stage = mp::Stage::fresh;
    throw;
  }
  lock.lock();
  handle.stage = mp::Stage::started;
  handle.peer = std::move(peer);
  const auto done = std::move(handle.work);  // what it holds is the child's now
  lock.unlock();
}

void ProcessHandle::join() const { wait(mp::Peer::Clock::time_point::max()); }

bool ProcessHandle::wait(std::chrono::steady_clock::time_point deadline) const {
  return mp::watched_peer(this, "join")->wait(deadline);
}

std::optional<int> ProcessHandle::exitcode() const {
  const auto peer = mp::find_peer(this);
  return peer != nullptr ? peer->exit_code() : std::nullopt;
}

bool ProcessHandle::is_alive() const {
  return mp::find_peer(this) != nullptr && !mp::watched_peer(this, "is_alive")->ended();
}

int ProcessHandle::pid() const {
  const auto peer = mp::find_peer(this);
  return peer != nullptr ? peer->pid() : 0;
}

std::string ProcessHandle::name() const {
  const std::lock_guard lock(mp::handles().mutex);
  mp::Handle& handle = mp::handles().all[this];
  mp::check_open(handle);
  return handle.peer != nullptr ? handle.peer->name() : mp::name_of(handle);
}

bool ProcessHandle::daemon() const {
  const std::lock_guard lock(mp::handles().mutex);
  const auto at = mp::handles().all.find(this);
  if (at == mp::handles().all.end()) return false;
  mp::check_open(at->second);
  return at->second.options.daemon;
}

void ProcessHandle::terminate() const { mp::watched_peer(this, "terminate")->signal(SIGTERM); }

void ProcessHandle::kill() const { mp::watched_peer(this, "kill")->signal(SIGKILL); }

void ProcessHandle::close() {
  const auto peer = mp::find_peer(this);
  if (peer != nullptr && !mp::watched_peer(this, "close")->ended()) {
    throw BadArgument("close() of \"" + peer->name() + "\", which runs: join() it before");
  }
  const std::lock_guard lock(mp::handles().mutex);
  mp::Handle& handle = mp::handles().all[this];
  handle = {};
  handle.stage = mp::Stage::closed;
}

int ProcessHandle::sentinel() const { return mp::watched_peer(this, "sentinel")->fd(); }

const std::string& ProcessInfo::name() const noexcept { return peer_->name(); }
int ProcessInfo::pid() const noexcept { return peer_->pid(); }
bool ProcessInfo::daemon() const noexcept { return peer_->daemon(); }
bool ProcessInfo::is_alive() const { return !mp::watched_peer(peer_, "is_alive").ended(); }
void ProcessInfo::join() const { wait(mp::Peer::Clock::time_point::max()); }
bool ProcessInfo::wait(std::chrono::steady_clock::time_point deadline) const {
  return mp::watched_peer(peer_, "join").wait(deadline);
}
std::optional<int> ProcessInfo::exitcode() const { return peer_->exit_code(); }
void ProcessInfo::terminate() const { mp::watched_peer(peer_, "terminate").signal(SIGTERM); }
void ProcessInfo::kill() const { mp::watched_peer(peer_, "kill").signal(SIGKILL); }
int ProcessInfo::sentinel() const { return mp::watched_peer(peer_, "sentinel").fd(); }

}  // namespace hoist
