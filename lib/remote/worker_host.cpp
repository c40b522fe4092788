// SPDX-License-Identifier: BSD-3-Clause
#include "remote/worker_host.hpp"

#include <hoist/detail/code_address.hpp>
#include <hoist/error.hpp>

#include <algorithm>
#include <cerrno>
#include <string>
#include <thread>
#include <utility>

#include "os/log.hpp"

namespace hoist::detail::remote {

namespace {

using ipc::Clock;

constexpr std::size_t bell_of_host = 0;
constexpr auto between_statuses = std::chrono::seconds(1);
/// Answers are mostly there within that time after something has happened.
constexpr auto host_spin = std::chrono::microseconds(30);

}  // namespace

WorkerHost::WorkerHost(Transport& transport, HostSize size)
    : transport_(transport), size_(size), printed_(std::make_shared<Printed>(bell_of_host)) {
  transport_.set_wake([] { ipc::BellBoard::here().bell(bell_of_host).ring(); });
}

void WorkerHost::joined(Peer peer, const std::string&) {
  had_master_ = true;
  Master& master = masters_.try_emplace(peer, transport_, peer).first->second;
  ipc::FieldWriter hello;
  hello.put(protocol_version);
  hello.put(std::uint32_t{size_.slots});
  hello.put(std::uint32_t{size_.cores});
  hello.text(module_name(0).build_id);
  master.outbox.put(kind::hello, 0, hello.bytes());
  if (is_leaving_) tell_leaving(master);
}

void WorkerHost::received(Peer peer, std::span<const std::byte> message) {
  const auto at = masters_.find(peer);
  if (at == masters_.end()) return;
  try {
    at->second.inbox.add(
        message, [&](ipc::Kind kind, std::uint32_t worker, std::span<const std::byte> content) {
          take(peer, at->second, kind, worker, content);
        });
  } catch (const Error& error) {
    os::log(LogLevel::error, "workers",
            std::string("a worker host leaves its master: ") + error.what());
    transport_.drop(peer);
    lost(peer, {});
    return;
  }
  for (const auto& [number, worker] : at->second.workers) worker->ring();
}

void WorkerHost::take(Peer peer, Master& master, ipc::Kind kind, std::uint32_t worker,
                      std::span<const std::byte> content) {
  if (kind == kind::welcome) return;
  if (kind == kind::refused) {
    was_refused_ = true;
    const std::string why(reinterpret_cast<const char*>(content.data()), content.size());
    os::log(LogLevel::error, "workers", "this worker host was refused: " + why);
  } else if (kind == kind::piece) {
    master.blobs.add(content);
  } else if (kind == kind::forget_blob) {
    ipc::FieldReader fields(content);
    master.blobs.forget(fields.get<Digest>());
  } else if (kind == kind::printed) {
    ipc::FieldReader fields(content);
    printed_->note_written(peer, static_cast<int>(fields.get<std::uint32_t>()));
  } else if (kind == kind::end) {
    master.is_ending = true;
    for (const auto& [number, one] : master.workers) one->process()->ask_to_leave();
  } else if (kind == kind::start) {
    start(peer, master, worker, content);
  } else if (const auto at = master.workers.find(worker); at != master.workers.end()) {
    at->second->take(kind, content);
  }
}

void WorkerHost::start(Peer peer, Master& master, std::uint32_t worker,
                       std::span<const std::byte> options) {
  try {
    if (is_leaving_) throw SystemError("the worker host leaves", ECANCELED);
    master.workers[worker] = std::make_unique<HostWorker>(
        worker, peer, master.outbox, master.blobs, *printed_, [this] { send_printed(); },
        bell_of_host, options);
  } catch (const SystemError& error) {
    master.workers.erase(worker);
    // It has run nothing of what is under way to it, which goes elsewhere.
    if (is_leaving_) master.outbox.put(ipc::Kind::left, worker, {});
    ipc::FieldWriter frame;
    frame.put(std::int32_t{0});
    frame.put(std::int32_t{0});
    frame.put(std::uint64_t{0});
    frame.put(std::uint64_t{0});
    frame.text(error.what());
    master.outbox.put(kind::died, worker, frame.bytes());
  }
}

void WorkerHost::lost(Peer peer, const std::string&) {
  const auto node = masters_.extract(peer);
  if (!node) return;
  for (const auto& [number, worker] : node.mapped().workers) worker->process()->kill();
  printed_->forget(peer);
}

bool WorkerHost::forward(Master& master) {
  bool any = false;
  std::erase_if(master.workers, [&](const auto& one) {
    any = one.second->forward() || any;
    if (!one.second->has_ended()) return false;
    tasks_of_ended_ += one.second->process()->begun();
    return true;
  });
  if (master.is_ending && master.workers.empty()) {
    master.is_ending = false;
    master.outbox.put(kind::ended, 0, {});
  }
  return master.outbox.pump() || any;
}

bool WorkerHost::send_printed() {
  if (printed_->empty()) return false;
  for (const Printed::Lines& lines : printed_->take()) {
    const auto at = masters_.find(lines.master);
    if (at == masters_.end()) {
      // Of workers that were killed when their master was lost: nobody will say that it is written.
      printed_->forget(lines.master);
      continue;
    }
    ipc::FieldWriter frame;
    frame.put(static_cast<std::uint32_t>(lines.to));
    frame.text(lines.text);
    at->second.outbox.put(kind::output, lines.worker, frame.bytes());
  }
  return true;
}

bool WorkerHost::has_news() const {
  if (!printed_->empty()) return true;
  return std::ranges::any_of(masters_, [](const auto& master) {
    return std::ranges::any_of(master.second.workers,
                               [](const auto& one) { return one.second->has_news(); });
  });
}

/// Until a worker has said something, or the transport, which had called `seen` times before it was
/// polled, has something to do or is to be polled anyway; or until the deadline.
void WorkerHost::wait(std::uint32_t seen, Clock::time_point deadline) const {
  const auto now = Clock::now();
  if (now - idle_since_ < host_spin) return std::this_thread::yield();
  const auto next = next_poll(transport_, idle_since_, now);
  if (next == Clock::time_point::max()) transport_.watch();
  const auto until = std::min(deadline, next);
  const auto news = [&] { return has_news() || transport_.wakes() != seen; };
  ipc::BellBoard::here().bell(bell_of_host).wait(until, news, false);
}

void WorkerHost::step(Clock::time_point deadline) {
  const std::uint32_t seen = transport_.wakes();
  bool any = transport_.poll(*this);
  any = send_printed() || any;
  for (auto& [peer, master] : masters_) any = forward(master) || any;
  if (any) {
    idle_since_ = Clock::now();
  } else {
    wait(seen, deadline);
  }
}

void WorkerHost::run() {
  while (!had_master_ || !masters_.empty()) step(Clock::time_point::max());
}

/// No worker is started any more, and those that there are leave once they have run what they have.
void WorkerHost::leave() {
  is_leaving_ = true;
  for (auto& [peer, master] : masters_) tell_leaving(master);
}

void WorkerHost::tell_leaving(Master& master) {
  master.outbox.put(kind::ended, 0, {});
  for (const auto& [number, worker] : master.workers) worker->take(ipc::Kind::leave, {});
}

void WorkerHost::publish(Clock::time_point now) {
  Transport::HostStatus status{.slots = size_.slots,
                               .cores = size_.cores,
                               .masters = masters_.size(),
                               .tasks = tasks_of_ended_,
                               .age = std::chrono::floor<std::chrono::seconds>(now - started_),
                               .is_leaving = is_leaving_};
  for (const auto& [peer, master] : masters_) {
    status.workers += master.workers.size();
    for (const auto& [number, worker] : master.workers) status.tasks += worker->process()->begun();
  }
  const std::chrono::duration<double> passed = now - published_;
  status.tasks_per_second = static_cast<double>(status.tasks - published_tasks_) / passed.count();
  published_tasks_ = status.tasks;
  published_ = now;
  transport_.publish(status);
}

void WorkerHost::run_until_told() {
  const auto has_work = [](const auto& master) {
    return !master.second.workers.empty() || !master.second.outbox.empty();
  };
  while (!is_leaving_ || std::ranges::any_of(masters_, has_work)) {
    step(published_ + between_statuses);
    if (!is_leaving_ && transport_.is_to_leave()) leave();
    const auto now = Clock::now();
    if (now - published_ >= between_statuses) publish(now);
  }
}

}  // namespace hoist::detail::remote
