// SPDX-License-Identifier: BSD-3-Clause
#include "remote/hosts.hpp"

#include <hoist/detail/code_address.hpp>
#include <hoist/error.hpp>

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>
#include <utility>

#include "base/digest_stream.hpp"
#include "os/log.hpp"
#include "remote/remote_worker.hpp"
#include "workers/output_writer.hpp"

namespace hoist::detail::remote {

namespace {

/// Workers that take longer to leave are killed by their hosts.
constexpr auto end_patience = std::chrono::seconds(10);
/// For who waits for hosts and not for workers. Loops may have it too.
constexpr std::size_t bell_of_hosts = 0;
/// What is expected soon is there within about the time it takes to wake a process.
constexpr auto spin = std::chrono::microseconds(60);
/// Digests of shared values outlive their loop, those of a loop's arrays do not.
constexpr std::size_t most_digests = 1024;

std::string hexadecimal(const std::string& bytes) {
  std::string text;
  for (const char byte : bytes) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned char>(byte));
    text += digits;
  }
  return text.empty() ? "none" : text;
}

}  // namespace

Hosts::Hosts(std::string name, std::unique_ptr<Transport> transport)
    : name_(std::move(name)), transport_(std::move(transport)) {
  // Whichever of them loops sleep on.
  transport_->set_wake([] {
    for (std::size_t i = 0; i < ipc::BellBoard::count; ++i) ipc::BellBoard::here().bell(i).ring();
  });
}

Hosts::~Hosts() {
  // Workers refer to their hosts.
  for (const auto& [peer, host] : hosts_) host->workers.clear();
}

// --- What hosts say ------------------------------------------------------------------------------

void Hosts::joined(Peer peer, const std::string& name) {
  hosts_.emplace(peer, std::make_shared<Host>(*transport_, peer, name));
}

void Hosts::lost(Peer peer, const std::string& why) {
  const auto node = hosts_.extract(peer);
  if (!node) return;
  Host& host = *node.mapped();
  why_none_ = host.name + " " + why;
  has_lost_ = true;
  set_use(host, 0, host.leased);
  for (const auto& [number, worker] : host.workers) {
    died(*worker,
         {.how = {.is_known = false}, .last_lines = {}, .machine = host.name, .lost = why});
  }
  host.workers.clear();
}

/// How many workers a host is for, and how many of them loops have.
void Hosts::set_use(Host& host, unsigned slots, std::size_t leased) {
  loads_.erase({host.load(), host.peer});
  capacity_.store(capacity() + slots - host.slots, std::memory_order_relaxed);
  host.slots = slots;
  host.leased = leased;
  if (slots > 0) loads_.insert({host.load(), host.peer});
}

void Hosts::end_lease(RemoteWorker& worker) {
  Host& host = worker.host();
  if (std::exchange(worker.leased, false)) set_use(host, host.slots, host.leased - 1);
}

void Hosts::died(RemoteWorker& worker, workers::WorkerEnd end) {
  end_lease(worker);
  worker.died(std::move(end));
}

void Hosts::received(Peer peer, std::span<const std::byte> message) {
  const auto at = hosts_.find(peer);
  if (at == hosts_.end()) return;
  const std::shared_ptr<Host> host = at->second;
  try {
    host->inbox.add(message,
                    [&](ipc::Kind kind, std::uint32_t worker, std::span<const std::byte> content) {
                      take(*host, kind, worker, content);
                    });
  } catch (const Error& error) {
    transport_->drop(peer);
    lost(peer, std::string("sent what no worker host sends: ") + error.what());
  }
}

void Hosts::take(Host& host, ipc::Kind kind, std::uint32_t worker,
                 std::span<const std::byte> content) {
  if (kind == kind::hello) return greet(host, content);
  if (kind == kind::piece) return host.results.add(content);
  if (kind == kind::output) print(host, content);
  if (kind == kind::ended) return set_use(host, 0, host.leased);
  const auto at = host.workers.find(worker);
  if (at == host.workers.end()) return;  // of one that was given up
  if (kind != kind::died) return at->second->arrived(kind, content);
  ipc::FieldReader fields(content);
  workers::WorkerEnd end{.how = {}, .last_lines = {}, .machine = host.name};
  end.how.signal = fields.get<std::int32_t>();
  end.how.exit_code = fields.get<std::int32_t>();
  end.how.is_known = fields.get<std::uint64_t>() != 0;
  at->second->set_begun(fields.get<std::uint64_t>());
  end.last_lines = fields.text();
  died(*at->second, std::move(end));
  host.workers.erase(at);
}

void Hosts::greet(Host& host, std::span<const std::byte> content) {
  ipc::FieldReader fields(content);
  const auto version = fields.get<std::uint32_t>();
  if (version != protocol_version) {
    return refuse(host, "it runs another version of hoist; start the same program on all hosts");
  }
  const unsigned slots = fields.get<std::uint32_t>();
  const unsigned cores = fields.get<std::uint32_t>();
  const std::string build_id = fields.text();
  const std::string own = module_name(0).build_id;
  if (build_id != own) {
    return refuse(host, "it runs another build of this program (build-id " + hexadecimal(build_id) +
                            " there, " + hexadecimal(own) +
                            " here), in which functions lie elsewhere; start the same file on all "
                            "hosts");
  }
  host.has_greeted = true;
  host.cores = cores;
  set_use(host, slots, host.leased);
  host.outbox.put(kind::welcome, 0, {});
  host.outbox.pump();
}

void Hosts::refuse(Host& host, const std::string& why) {
  os::log(LogLevel::error, "workers", "the worker host " + host.name + " gets no tasks: " + why);
  host.outbox.put(kind::refused, 0, std::as_bytes(std::span(why)));
  host.outbox.pump();
  const Peer peer = host.peer;
  transport_->drop(peer);
  lost(peer, "was refused: " + why);
}

/// Lines that a worker has printed. The host lets it print more when they are written.
void Hosts::print(Host& host, std::span<const std::byte> content) {
  ipc::FieldReader fields(content);
  const int to = fields.get<std::uint32_t>() == STDERR_FILENO ? STDERR_FILENO : STDOUT_FILENO;
  workers::OutputWriter::of(to).put(fields.text(), [this, peer = host.peer, to] {
    const std::lock_guard lock(mutex_);
    const auto at = hosts_.find(peer);
    if (at == hosts_.end()) return;
    ipc::FieldWriter frame;
    frame.put(static_cast<std::uint32_t>(to));
    at->second->outbox.put(kind::printed, 0, frame.bytes());
    transport_->wake();
  });
}

// --- What loops ask ------------------------------------------------------------------------------

bool Hosts::poll_locked() {
  bool any = transport_->poll(*this);
  for (const auto& [peer, host] : hosts_) {
    if (host->outbox.empty()) continue;
    host->outbox.pump();
    any = true;
  }
  if (any) ipc::BellBoard::here().bell(bell_of_hosts).ring();
  return any;
}

bool Hosts::poll() {
  // Who has the lock polls for all.
  const std::unique_lock lock(mutex_, std::try_to_lock);
  return lock.owns_lock() && poll_locked();
}

void Hosts::wait(std::size_t bell, Clock::time_point deadline, const std::function<bool()>& ready,
                 bool soon) {
  auto now = Clock::now();
  auto spin_until = soon ? now + spin : now;
  auto idle_since = now;
  for (;;) {
    const std::uint32_t seen = transport_->wakes();
    const bool any = poll();
    if (ready()) return;
    now = Clock::now();
    if (any) {
      idle_since = now;
      spin_until = std::max(spin_until, now + spin / 3);
    }
    if (now >= deadline) return;
    if (now < spin_until) {
      std::this_thread::yield();
      continue;
    }
    const auto next = next_poll(*transport_, idle_since, now);
    if (next == Clock::time_point::max()) transport_->watch();
    const auto until = std::min(deadline, next);
    const auto woken = [&] { return transport_->wakes() != seen; };
    const auto news = [&] { return ready() || woken(); };
    if (ipc::BellBoard::here().bell(bell).wait(until, news, false) && !woken()) return;
  }
}

std::string Hosts::why_none() const {
  const std::string known = transport_->why_none();
  return known.empty() ? why_none_ : known;
}

unsigned Hosts::slots() {
  unsigned slots = 0;
  const auto all_have_greeted = [&] {
    const std::lock_guard lock(mutex_);
    bool complete = transport_->is_complete();
    slots = 0;
    for (const auto& [peer, host] : hosts_) {
      slots += host->slots;
      complete = complete && host->has_greeted;
    }
    return complete;
  };
  wait(bell_of_hosts, Clock::now() + transport_->arrival_patience(), all_have_greeted, false);
  if (slots > 0) return slots;
  const std::lock_guard lock(mutex_);
  const std::string why = why_none();
  throw Error("the backend \"" + name_ + "\" has no worker hosts" +
              (why.empty() ? "" : ": " + why));
}

std::string Hosts::explain() const {
  const std::lock_guard lock(mutex_);
  unsigned slots = 0;
  std::string names;
  for (const auto& [peer, host] : hosts_) {
    slots += host->slots;
    names += (names.empty() ? ": " : ", ") + host->name;
  }
  return "backend \"" + name_ + "\": " + std::to_string(slots) + " workers on " +
         std::to_string(hosts_.size()) + " hosts" + names;
}

unsigned Hosts::threads_each(unsigned workers) const {
  const std::lock_guard lock(mutex_);
  unsigned cores = 0;
  for (const auto& [peer, host] : hosts_) cores += host->cores;
  return std::max(1U, cores / std::max(1U, workers));
}

/// The one with the fewest workers in use for its size; null if there is none.
std::shared_ptr<Host> Hosts::freest() const {
  return loads_.empty() ? nullptr : hosts_.at(loads_.begin()->second);
}

std::shared_ptr<workers::WorkerProcess> Hosts::lease(const WorkerOptions& options, unsigned threads,
                                                     bool crowd) {
  const std::lock_guard idle_lock(idle_mutex_);
  std::shared_ptr<RemoteWorker> worker;
  bool is_new = false;
  {
    const std::lock_guard lock(mutex_);
    const std::shared_ptr<Host> host = freest();
    if (host == nullptr) {
      // Those that leave still run what they have.
      const auto is_busy = [](const auto& known) { return known.second->leased > 0; };
      if (std::ranges::any_of(hosts_, is_busy)) {
        alone_since_ = Clock::time_point::max();
        return nullptr;
      }
      const auto now = Clock::now();
      alone_since_ = std::min(alone_since_, now);
      const bool one_comes =
          std::ranges::any_of(hosts_, [](const auto& known) { return !known.second->has_greeted; });
      const auto patience = one_comes
                                ? std::max(transport_->patience(), transport_->arrival_patience())
                                : transport_->patience();
      if (now - alone_since_ < patience) return nullptr;
      throw Error("the backend \"" + name_ + "\" has no worker hosts any more: " + why_none());
    }
    alone_since_ = Clock::time_point::max();
    if (!crowd && host->leased >= host->slots) return nullptr;
    if (std::exchange(has_lost_, false)) {
      std::erase_if(idle_, [this](const auto& one) { return !hosts_.contains(one.first); });
    }
    worker = std::static_pointer_cast<RemoteWorker>(idle_[host->peer].take(options, threads));
    is_new = worker == nullptr;
    if (is_new) {
      worker = std::make_shared<RemoteWorker>(*this, host, ++last_worker_, options, threads);
      host->workers[last_worker_] = worker;
    }
    worker->leased = true;
    set_use(*host, host->slots, host->leased + 1);
  }
  if (!is_new) return worker;
  try {
    worker->initialize(options);
  } catch (...) {
    worker->ask_to_leave();
    const std::lock_guard lock(mutex_);
    end_lease(*worker);
    throw;
  }
  return worker;
}

void Hosts::give_back(std::shared_ptr<workers::WorkerProcess> worker, const WorkerOptions& options,
                      unsigned threads, std::size_t keep) {
  const std::lock_guard idle_lock(idle_mutex_);
  auto& its = static_cast<RemoteWorker&>(*worker);
  {
    const std::lock_guard lock(mutex_);
    end_lease(its);
  }
  workers::IdleWorkers& idle = idle_[its.host().peer];
  idle.put(std::move(worker), options, threads, keep);
  idle.retire();
}

Digest Hosts::digest_of(std::uint64_t identity,
                        const std::function<std::shared_ptr<Storage>()>& map) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto known = digests_.find(identity); known != digests_.end()) return known->second;
  }
  const auto bytes = map();
  const Digest digest = base::digest_of({bytes->data(), bytes->bytes()});
  const std::lock_guard lock(mutex_);
  if (digests_.size() >= most_digests) digests_.erase(digests_.begin());
  digests_.emplace(identity, digest);
  return digest;
}

void Hosts::end() {
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [peer, host] : hosts_) host->outbox.put(kind::end, 0, {});
  }
  const auto all_have_ended = [this] {
    const std::lock_guard lock(mutex_);
    return std::ranges::none_of(hosts_, [](const auto& one) { return one.second->slots > 0; });
  };
  wait(bell_of_hosts, Clock::now() + end_patience, all_have_ended, false);
  std::unique_lock lock(mutex_);
  transport_->close();
  // Loops of other threads that wait for a worker are told.
  while (!hosts_.empty()) lost(hosts_.begin()->first, "has ended with the program");
  why_none_ = "they have ended with MPI, or with the program";
  lock.unlock();
  workers::OutputWriter::flush_all(Clock::time_point::max());
}

}  // namespace hoist::detail::remote
