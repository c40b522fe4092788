// SPDX-License-Identifier: BSD-3-Clause
#include "workers/local_worker.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "os/child_watch.hpp"
#include "os/inner_threads.hpp"
#include "os/process_barrier.hpp"
#include "os/socket.hpp"
#include "workers/launch.hpp"
#include "workers/result_frames.hpp"
#include "workers/supervisor.hpp"

namespace hoist::detail::workers {

namespace {

std::pair<os::Fd, os::Fd> pipe_pair() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    throw SystemError("can't make a pipe for a worker process", errno);
  }
  ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
  return {os::Fd(ends[0]), os::Fd(ends[1])};
}

std::vector<std::string> worker_environment(const WorkerOptions& options, unsigned threads) {
  std::map<std::string, std::string> added(options.env.begin(), options.env.end());
  // Libraries that start a thread per core in every worker would have them fight over the cores.
  // What the user has set stays.
  for (const char* name : os::thread_variables) {
    if (std::getenv(name) == nullptr) added.emplace(name, std::to_string(threads));
  }
  added[worker_variable] = std::to_string(worker_channel_fd);
  return environment_with(added);
}

}  // namespace

std::shared_ptr<LocalWorker> LocalWorker::start(const WorkerOptions& options, unsigned threads,
                                                Outputs outputs) {
  Launch launch;
  launch.program = worker_program();
  Supervisor& supervisor = Supervisor::here();
  // Made here, where it is an error of the loop if there can be no more threads.
  OutputWriter::of(STDOUT_FILENO);
  OutputWriter::of(STDERR_FILENO);
  std::shared_ptr<LocalWorker> worker(new LocalWorker);
  auto [ours, theirs] = os::socket_pair();
  auto [output, output_end] = pipe_pair();
  auto [errors, errors_end] = pipe_pair();
  os::Fd memory;
  worker->memory_ = ipc::ChannelMemory::create(memory);
  worker->socket_ = std::move(ours);
  worker->link_ = ipc::Link(worker->memory_, worker->socket_.get(), false);
  worker->link_.set_peer_bell(&worker->memory_.state().worker_bell);

  // Waits in the socket until the worker is there to read it.
  ipc::FieldWriter hello;
  hello.put(ipc::channel_version);
  hello.put(static_cast<std::uint64_t>(options.max_tasks));
  hello.put(static_cast<std::uint64_t>(options.rss_limit));
  hello.text(module_name(0).build_id);
  const os::Fd self = os::open_pidfd(::getpid());
  std::vector<int> fds{memory.get(), ipc::BellBoard::here().fd()};
  if (self) fds.push_back(self.get());
  os::send_message(worker->socket_.get(), hello.bytes(), fds);

  launch.environment = worker_environment(options, threads);
  launch.channel = theirs.get();
  launch.output = output_end.get();
  launch.error = errors_end.get();
  worker->pid_ = launch_worker(launch);
  try {
    worker->watch_ = os::ChildWatch(worker->pid_);
  } catch (...) {
    worker->dead_.store(true);
    throw;
  }
  if (launch.program.is_hosted) worker->host_ = std::move(launch.program.path);
  worker->started = ipc::Clock::now();
  const std::string prefix =
      options.prefix_output ? "[" + std::to_string(worker->pid_) + "] " : std::string();
  worker->output_ = std::make_shared<OutputLines>(std::move(output), STDOUT_FILENO, prefix,
                                                  std::move(outputs.output));
  worker->errors_ = std::make_shared<OutputLines>(std::move(errors), STDERR_FILENO, prefix,
                                                  std::move(outputs.errors));
  supervisor.add(worker);
  try {
    worker->send_initializer(options.initializer);
  } catch (...) {
    worker->kill();  // the supervisor has it, too, until it ends
    throw;
  }
  return worker;
}

LocalWorker::~LocalWorker() {
  if (!dead()) kill();
}

bool LocalWorker::send(ipc::Kind kind, std::span<const std::byte> content, int fd) {
  if (dead()) return false;
  return link_.send(kind, content, fd, ipc::BellBoard::here().bell(bell_),
                    [this] { return dead(); });
}

std::uint64_t LocalWorker::share(std::uint32_t number, const SharedBytes& bytes) {
  const auto frame = announcement(number, bytes.offset + bytes.bytes, bytes.written);
  send(ipc::Kind::segment, frame.bytes(), bytes.fd);
  return 0;
}

std::size_t LocalWorker::receive(const ipc::FrameHandler& handle, std::size_t limit) {
  return receive_frames(
      link_, segments_,
      [&](ipc::Kind kind, std::span<const std::byte> content) {
        if (kind == ipc::Kind::ready) {
          ready = true;
        } else {
          handle(kind, content);
        }
      },
      limit);
}

void LocalWorker::receive_unsent(const ipc::FrameHandler& handle) {
  const auto content = take_unsent(link_, memory_.state());
  if (!content.empty()) handle(ipc::Kind::results, content);
}

void LocalWorker::use_bell(std::size_t number) {
  bell_ = number;
  memory_.state().parent_bell.store(static_cast<std::uint32_t>(number), std::memory_order_release);
}

std::optional<std::uint64_t> LocalWorker::stop_before_next() {
  std::atomic<std::uint64_t>& last = memory_.state().last_to_begin;
  // Sent now, so that this process never waits for the task to end.
  if (begun() == received || !has_room(ipc::max_frame)) return std::nullopt;
  last.store(ipc::ChannelState::undecided);
  const bool stopped = os::process_barrier();
  const std::uint64_t seen = begun();
  last.store(stopped ? seen : ipc::ChannelState::any_task, std::memory_order_release);
  ring();
  if (!stopped || !send(ipc::Kind::resume, {})) return std::nullopt;
  ring();
  return seen;
}

void LocalWorker::take_output(ipc::Clock::time_point deadline) {
  output_->take_all(deadline);
  errors_->take_all(deadline);
}

void LocalWorker::ask_to_leave() {
  asked_to_leave_.store(true);
  if (send(ipc::Kind::leave, {})) ring();
}

void LocalWorker::kill() {
  // watch() collects under the same mutex: older systems know the group by the child's number only,
  // which may become another's afterwards.
  const std::lock_guard lock(end_mutex_);
  if (!dead()) watch_.kill_group();
}

bool LocalWorker::watch() {
  output_->take();
  errors_->take();
  const std::lock_guard lock(end_mutex_);
  if (dead()) return true;
  const auto end = watch_.end();
  if (!end) return false;
  // What it started has nobody to answer to any more. One that left in order may leave others
  // behind.
  if (end->is_failure()) watch_.kill_group();
  output_->take_rest();
  errors_->take_rest();
  end_ = {.how = *end, .last_lines = errors_->last_lines()};
  watch_.collect();
  dead_.store(true, std::memory_order_release);
  // Who waits for this worker looks again.
  ipc::BellBoard::here().bell(memory_.state().parent_bell.load(std::memory_order_acquire)).wake();
  return true;
}

}  // namespace hoist::detail::workers
