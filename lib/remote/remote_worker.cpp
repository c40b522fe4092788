// SPDX-License-Identifier: BSD-3-Clause
#include "remote/remote_worker.hpp"

#include <hoist/error.hpp>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <utility>

#include "ipc/shared_bytes.hpp"
#include "remote/hosts.hpp"
#include "remote/start.hpp"

namespace hoist::detail::remote {

namespace {

/// The host tells times by how long ago they were, since clocks of machines differ.
void set_times(std::vector<std::byte>& content) {
  std::int64_t began = 0;
  if (content.size() < sizeof began) Decoder::throw_damaged();
  std::memcpy(&began, content.data(), sizeof began);
  if (began == 0) return;
  began += ipc::Clock::now().time_since_epoch().count();
  std::memcpy(content.data(), &began, sizeof began);
}

}  // namespace

RemoteWorker::RemoteWorker(Hosts& hosts, std::shared_ptr<Host> host, std::uint32_t number,
                           const WorkerOptions& options, unsigned threads)
    : hosts_(hosts), host_(std::move(host)), number_(number) {
  machine_ = host_->name;
  started = ipc::Clock::now();
  ipc::FieldWriter frame;
  put_start(frame, options, threads);
  host_->outbox.put(kind::start, number_, frame.bytes());
}

bool RemoteWorker::send(ipc::Kind kind, std::span<const std::byte> content) {
  const std::lock_guard lock(hosts_.mutex());
  if (dead()) return false;
  host_->outbox.put(kind, number_, content);
  if (kind == ipc::Kind::forget_segment) {
    ipc::FieldReader fields(content);
    const auto known = shared_.extract(fields.get<std::uint32_t>());
    if (known) host_->release_blob(known.mapped());
  }
  return true;
}

std::uint64_t RemoteWorker::share(std::uint32_t number, const workers::SharedBytes& bytes) {
  if (bytes.written) {
    throw CannotTravel(
        "locks, queues, shared values and arrays mapped read_write are in the memory of this "
        "machine, and its workers are on others: pass a copy, or use the backend \"spawn\"");
  }
  const auto map = [&] {
    return ipc::map_segment(bytes.fd, bytes.offset, bytes.bytes, os::MapAs::read_only);
  };
  const Digest digest = hosts_.digest_of(bytes.identity, map);
  const std::lock_guard lock(hosts_.mutex());
  if (dead()) return bytes.offset;
  host_->use_blob(digest, map);
  shared_[number] = digest;
  ipc::FieldWriter frame;
  frame.put(number);
  frame.put(std::uint32_t{0});
  frame.put(bytes.bytes);
  frame.put(digest);
  host_->outbox.put(ipc::Kind::segment, number_, frame.bytes());
  return bytes.offset;
}

void RemoteWorker::ring() {
  const std::lock_guard lock(hosts_.mutex());
  // What is left waits until all workers have got theirs.
  if (!dead() && host_->outbox.is_full()) host_->outbox.pump();
}

bool RemoteWorker::has_room(std::size_t bytes) {
  const std::lock_guard lock(hosts_.mutex());
  return host_->outbox.has_room(bytes);
}

void RemoteWorker::use_news(std::shared_ptr<workers::News> news, unsigned worker) {
  const std::lock_guard lock(hosts_.mutex());
  news_ = std::move(news);
  number_in_news_ = worker;
  if (news_ != nullptr && (has_input() || dead())) news_->add(worker);
}

std::size_t RemoteWorker::receive(const ipc::FrameHandler& handle, std::size_t limit) {
  std::size_t handled = 0;
  while (handled < limit && has_input()) {
    Frame frame;
    {
      const std::lock_guard lock(hosts_.mutex());
      frame = std::move(inbox_.front());
      inbox_.pop_front();
    }
    waiting_.fetch_sub(1);
    if (frame.kind == kind::unsent) {
      unsent_ = std::move(frame.content);
      continue;
    }
    ++handled;
    if (frame.kind == ipc::Kind::ready) {
      ipc::FieldReader fields(frame.content);
      pid_ = static_cast<pid_t>(fields.get<std::int64_t>());
      ready = true;
    } else if (frame.kind == ipc::Kind::segment) {
      add_segment(frame);
    } else if (frame.kind == ipc::Kind::stopped) {
      stopping = false;
      if (!frame.content.empty()) handle(frame.kind, frame.content);
    } else {
      unsent_.clear();  // they come again
      handle(frame.kind, frame.content);
    }
  }
  return handled;
}

void RemoteWorker::add_segment(Frame& frame) {
  ipc::FieldReader fields(frame.content);
  const auto number = fields.get<std::uint32_t>();
  if (!frame.blob.fd) return segments_.refuse(number);
  segments_.add(number, std::move(frame.blob.fd), frame.blob.bytes, false);
}

void RemoteWorker::receive_unsent(const ipc::FrameHandler& handle) {
  const std::vector<std::byte> content = std::exchange(unsent_, {});
  if (!content.empty()) handle(ipc::Kind::results, content);
}

std::optional<std::uint64_t> RemoteWorker::stop_before_next() {
  if (stopping) return std::nullopt;
  stopping = send(kind::stop, {});
  return std::nullopt;
}

void RemoteWorker::take_output(ipc::Clock::time_point deadline) {
  // What it has printed came before its results, but for what it could not print yet.
  if (!has_printed_.exchange(false)) return;
  flushed_.store(false);
  if (!send(kind::flush, {})) return;
  hosts_.wait(bell_.load(), deadline, [this] { return flushed_.load() || dead(); }, true);
}

void RemoteWorker::ask_to_leave() { send(ipc::Kind::leave, {}); }

void RemoteWorker::kill_in_task(std::uint64_t number) {
  ipc::FieldWriter frame;
  frame.put(number);
  send(kind::kill, frame.bytes());
}

/// Of a frame `segment`; none where it says that tasks write there.
BlobStore::Blob RemoteWorker::take_blob(std::span<const std::byte> content) {
  ipc::FieldReader fields(content);
  fields.get<std::uint32_t>();
  const bool written = fields.get<std::uint32_t>() != 0;
  fields.get<std::uint64_t>();
  return written ? BlobStore::Blob() : host_->results.take(fields.get<Digest>());
}

void RemoteWorker::arrived(ipc::Kind kind, std::span<const std::byte> content) {
  if (kind == kind::flushed) {
    flushed_.store(true);
  } else if (kind == kind::output) {
    has_printed_.store(true);
    return;
  } else if (kind == kind::begun) {
    ipc::FieldReader fields(content);
    set_begun(fields.get<std::uint64_t>());
  } else {
    Frame frame{.kind = kind, .content = {content.begin(), content.end()}};
    if (kind == ipc::Kind::results || kind == ipc::Kind::error || kind == kind::unsent) {
      set_times(frame.content);
    } else if (kind == ipc::Kind::segment) {
      // Now, as a loop that is cut short never comes to this frame.
      frame.blob = take_blob(content);
    }
    inbox_.push_back(std::move(frame));
    if (waiting_.fetch_add(1) == 0 && news_ != nullptr) news_->add(number_in_news_);
  }
  ipc::BellBoard::here().bell(bell_.load()).ring();
}

std::uint64_t RemoteWorker::begun() {
  // Asked for, so that who looks again is told.
  if (!dead()) send(kind::begun, {});
  return begun_.load(std::memory_order_acquire);
}

void RemoteWorker::died(workers::WorkerEnd end) {
  for (const auto& [number, digest] : shared_) host_->release_blob(digest);
  shared_.clear();
  end_ = std::move(end);
  dead_.store(true, std::memory_order_release);
  if (news_ != nullptr) news_->add(number_in_news_);
  ipc::BellBoard::here().bell(bell_.load()).ring();
}

}  // namespace hoist::detail::remote
