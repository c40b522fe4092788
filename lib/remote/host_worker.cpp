// SPDX-License-Identifier: BSD-3-Clause
#include "remote/host_worker.hpp"

#include <hoist/error.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "ipc/shared_bytes.hpp"
#include "os/log.hpp"
#include "os/mapping.hpp"
#include "remote/start.hpp"

namespace hoist::detail::remote {

namespace {

/// Frames that are handled before another worker has its turn.
constexpr std::size_t most_at_once = 64;

}  // namespace

HostWorker::HostWorker(std::uint32_t number, Peer master, Outbox& to_master, const BlobStore& blobs,
                       Printed& printed, std::function<void()> send_printed, std::size_t bell,
                       std::span<const std::byte> options)
    : number_(number),
      to_master_(to_master),
      blobs_(blobs),
      send_printed_(std::move(send_printed)) {
  ipc::FieldReader fields(options);
  const Start start = read_start(fields);
  process_ = workers::LocalWorker::start(start.options, start.threads,
                                         {.output = printed.put(master, number, STDOUT_FILENO),
                                          .errors = printed.put(master, number, STDERR_FILENO)});
  process_->use_bell(bell);
}

// --- From the master -----------------------------------------------------------------------------

void HostWorker::take(ipc::Kind kind, std::span<const std::byte> content) {
  if (kind == kind::kill) {
    ipc::FieldReader fields(content);
    const auto task = fields.get<std::uint64_t>();
    if (task == 0) {
      process_->kill();
    } else {
      process_->kill_in_task(task);
    }
  } else if (kind == kind::stop) {
    stop();
  } else if (kind == kind::flush) {
    flushes_ = true;
  } else if (kind == kind::begun) {
    ipc::FieldWriter frame;
    frame.put(process_->begun());
    to_master_.put(kind::begun, number_, frame.bytes());
  } else {
    pass_to_worker(kind, content);
  }
}

void HostWorker::pass_to_worker(ipc::Kind kind, std::span<const std::byte> content) {
  os::Fd blob;
  if (kind == ipc::Kind::segment) {
    // Now, as the blob may be forgotten before there is room.
    ipc::FieldReader fields(content);
    fields.take(2 * sizeof(std::uint32_t));
    const auto bytes = fields.get<std::uint64_t>();
    const BlobStore::Blob& known = blobs_.find(fields.get<Digest>());
    if (known.bytes != bytes) Decoder::throw_damaged();
    blob = os::Fd(::fcntl(known.fd.get(), F_DUPFD_CLOEXEC, 0));
    if (!blob) throw SystemError("can't share an array with a worker process", errno);
  }
  if (waiting_.empty() && process_->has_room(2 * ipc::max_frame)) {
    return deliver(kind, content, blob);
  }
  waiting_.push_back({kind, {content.begin(), content.end()}, std::move(blob)});
}

void HostWorker::deliver(ipc::Kind kind, std::span<const std::byte> content, const os::Fd& blob) {
  if (kind == ipc::Kind::place) {
    process_->send(kind, place_here(content));
  } else if (kind == ipc::Kind::segment) {
    ipc::FieldReader fields(content);
    const auto segment = fields.get<std::uint32_t>();
    fields.get<std::uint32_t>();
    process_->share(segment, {.fd = blob.get(), .bytes = fields.get<std::uint64_t>()});
  } else if (kind == ipc::Kind::leave) {
    process_->ask_to_leave();
  } else {
    process_->send(kind, content);
  }
}

/// Keeps the worker from beginning more, and tells the master where it has stopped.
void HostWorker::stop() {
  ipc::FieldWriter frame;
  if (const auto begun = process_->stop_before_next()) {
    // What came before the request is taken back too.
    std::erase_if(waiting_, [](const Frame& one) { return one.kind == ipc::Kind::tasks; });
    // What it has said already is passed on behind: that it goes on must not precede that it stops.
    if (!process_->has_input()) {
      try {
        process_->receive_unsent([this](ipc::Kind, std::span<const std::byte> content) {
          known_ = count_results(content);
          put_timed(kind::unsent, content);
        });
      } catch (const Error& error) {
        give_up(error);
      }
    }
    frame.put(*begun);
  }
  append_frame(frames_, ipc::Kind::stopped, number_, frame.bytes());
  send_frames();
}

// --- From the worker -----------------------------------------------------------------------------

/// Passes on what the worker has said, if anything.
bool HostWorker::receive() {
  if (!process_->has_input()) return false;
  process_->receive(
      [this](ipc::Kind kind, std::span<const std::byte> content) { pass_to_master(kind, content); },
      1);
  if (process_->ready && !std::exchange(is_ready_, true)) {
    ipc::FieldWriter frame;
    frame.put(static_cast<std::int64_t>(process_->pid()));
    append_frame(frames_, ipc::Kind::ready, number_, frame.bytes());
  }
  return true;
}

void HostWorker::pass_to_master(ipc::Kind kind, std::span<const std::byte> content) {
  if (kind != ipc::Kind::results && kind != ipc::Kind::error) {
    append_frame(frames_, kind, number_, content);
    return;
  }
  for (auto& part : process_->segments().take_all()) pass_part(part);
  if (kind == ipc::Kind::results) {
    count_results(content);
    known_ = 0;
  } else {
    ++process_->received;
  }
  put_timed(kind, content);
}

/// Counts those in the frame that are not known, and returns how many there are.
std::uint64_t HostWorker::count_results(std::span<const std::byte> frame) {
  ipc::FieldReader fields(frame);
  fields.take(2 * sizeof(std::int64_t));
  const auto count = fields.get<std::uint32_t>();
  process_->received += count - known_;
  return count;
}

/// The clocks of machines differ: what is told is how long ago the tasks began.
void HostWorker::put_timed(ipc::Kind kind, std::span<const std::byte> content) {
  std::int64_t began = 0;
  if (content.size() < sizeof began) Decoder::throw_damaged();
  const std::size_t at = append_frame(frames_, kind, number_, content);
  std::memcpy(&began, content.data(), sizeof began);
  if (began != 0) began -= ipc::Clock::now().time_since_epoch().count();
  std::memcpy(frames_.data() + at, &began, sizeof began);
}

/// Sends what was passed on, after what its tasks have printed.
void HostWorker::send_frames() {
  if (frames_.empty()) return;
  process_->output().take();
  process_->errors().take();
  send_printed_();
  to_master_.put_frames(frames_);
  frames_.clear();
}

/// A large part of the result to come.
void HostWorker::pass_part(workers::SegmentTable::Taken& part) {
  ipc::FieldWriter frame;
  frame.put(part.number);
  frame.put(static_cast<std::uint32_t>(part.written));
  frame.put(part.bytes);
  const Digest name{.low = ++parts_, .high = number_};
  frame.put(name);
  if (!part.written) {
    to_master_.put_blob(name, ipc::map_segment(part.fd.get(), 0, part.bytes, os::MapAs::read_only));
  }
  append_frame(frames_, ipc::Kind::segment, number_, frame.bytes());
}

/// A task can write into all of the memory of its worker, also into what the host reads.
void HostWorker::give_up(const Error& error) {
  os::log(LogLevel::error, "workers",
          "the worker process " + std::to_string(process_->pid()) +
              " is killed by its host: " + error.what());
  is_broken_ = true;
  process_->kill();
}

bool HostWorker::forward() {
  bool any = false;
  try {
    any = !is_broken_ && move();
  } catch (const Error& error) {
    give_up(error);
  }
  if (process_->dead() && !has_input() && !std::exchange(has_ended_, true)) {
    tell_end();
    any = true;
  }
  return any;
}

bool HostWorker::move() {
  bool any = false;
  while (!waiting_.empty() && process_->has_room(2 * ipc::max_frame)) {
    const Frame& frame = waiting_.front();
    deliver(frame.kind, frame.content, frame.blob);
    waiting_.pop_front();
    any = true;
  }
  if (any) process_->ring();
  for (std::size_t i = 0; i < most_at_once && receive(); ++i) any = true;
  send_frames();
  return flush() || any;
}

bool HostWorker::flush() {
  if (!flushes_) return false;
  process_->output().take();
  process_->errors().take();
  if (process_->output().at_limit() || process_->errors().at_limit()) return false;
  flushes_ = false;
  send_printed_();
  to_master_.put(kind::flushed, number_, {});
  return true;
}

void HostWorker::tell_end() {
  try {
    if (!is_broken_) {
      process_->receive_unsent([this](ipc::Kind kind, std::span<const std::byte> content) {
        pass_to_master(kind, content);
      });
    }
  } catch (const Error&) {
    // The task that it ran is what is lost.
  }
  send_frames();
  send_printed_();
  const workers::WorkerEnd& end = process_->end();
  ipc::FieldWriter frame;
  frame.put(std::int32_t{end.how.signal});
  frame.put(std::int32_t{end.how.exit_code});
  frame.put(std::uint64_t{end.how.is_known});
  frame.put(process_->begun());
  frame.text(end.last_lines);
  to_master_.put(kind::died, number_, frame.bytes());
}

}  // namespace hoist::detail::remote
