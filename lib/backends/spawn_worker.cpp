// SPDX-License-Identifier: BSD-3-Clause
#include "backends/spawn_worker.hpp"

#include <hoist/detail/envelope.hpp>
#include <hoist/error.hpp>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <string>
#include <utility>

#include "backends/builtin.hpp"
#include "backends/settle_frame.hpp"
#include "backends/task_frames.hpp"
#include "backends/worker_end.hpp"
#include "base/quoted.hpp"

namespace hoist::detail::backends {

namespace {

/// A program that does not become a worker is given up after this; one that ends is noticed at
/// once.
constexpr auto start_limit = std::chrono::seconds(60);
/// Frames of tasks are closed at this size: several fit into the ring.
constexpr std::size_t frame_full = ipc::max_frame / 2;
/// A worker with batches shorter than this gets the next one before it is done with the last.
constexpr double short_batch = 5e-3;
/// So many tasks a worker that is far away may have ahead.
constexpr std::size_t most_ahead = 256;
/// A task that takes longer keeps none behind it waiting.
constexpr auto long_task = std::chrono::milliseconds(5);
/// About what it takes to wake a process.
constexpr double wake_seconds = 100e-6;

double seconds_of(std::chrono::duration<double> time) { return time.count(); }

}  // namespace

SpawnWorker::SpawnWorker(Loop& loop, workers::LoopSegments& segments, VariableCheck& variables,
                         LostHosts& lost_hosts, const os::WorkingPlace& place, unsigned number,
                         std::size_t bell)
    : loop_(loop),
      segments_(segments),
      variables_(variables),
      lost_hosts_(lost_hosts),
      place_(place),
      bell_(bell),
      share_results_from_(shared_from(loop.options())),
      task_timeout_(loop.options().task_timeout),
      in_flight_(loop, info_) {
  info_.number = number;
}

void SpawnWorker::set_process(std::shared_ptr<workers::WorkerProcess> process) {
  process_ = std::move(process);
  process_->use_bell(bell_);
  is_orphan_ = false;
  info_.pid = process_->pid();
  info_.machine = process_->machine();
  callable_ = 0;
  timed_out_ = false;
  killed_in_ = 0;
  leaving_ = false;
  taken_back_ = false;
  known_results_ = 0;
  send_context();
  send_place();
}

/// Tells the worker which loop its tasks are in, unless it was in one just like it.
void SpawnWorker::send_context() {
  payload_.clear();
  put_context(payload_, loop_, encoder_);
  if (std::ranges::equal(process_->context, payload_.bytes())) return;
  process_->context.assign(payload_.bytes().begin(), payload_.bytes().end());
  process_->send(ipc::Kind::context, payload_.bytes());
}

/// To each loop, since tasks of the last one may have left the worker elsewhere.
void SpawnWorker::send_place() {
  payload_.clear();
  put_place(payload_, place_);
  process_->send(ipc::Kind::place, payload_.bytes());
}

std::shared_ptr<workers::WorkerProcess> SpawnWorker::release() {
  if (process_ == nullptr) return nullptr;
  if (callable_ != 0) {
    ipc::FieldWriter frame;
    frame.put(callable_);
    process_->send(ipc::Kind::forget_callable, frame.bytes());
    process_->ring();
    callable_ = 0;
  }
  workers::LoopSegments::forget_all(*process_);
  return std::exchange(process_, nullptr);
}

bool SpawnWorker::wants_tasks() const {
  const std::size_t left = in_flight_.size() + unsent_.size();
  if (left == 0) return true;
  if (unsent_.size() > 0 || lost_hosts_.has_suspects()) return false;
  // Its answers are a while under way, in which it is not to run out of tasks.
  if (is_far() && left < most_ahead && pace_ >= 0 &&
      pace_ * static_cast<double>(left) < seconds_of(process_->round_trip())) {
    return true;
  }
  const bool is_short = info_.task_seconds >= 0 &&
                        info_.task_seconds * static_cast<double>(last_batch_) < short_batch;
  return is_short && left <= last_batch_;
}

/// Notes how long tasks take, from the beginning of a frame of results.
void SpawnWorker::note_pace(std::span<const std::byte> results) {
  ipc::FieldReader fields(results);
  fields.take(sizeof(std::int64_t));
  const auto took = seconds_of(ipc::Clock::duration(fields.get<std::int64_t>()));
  const double sample = took / std::max(1U, fields.get<std::uint32_t>());
  pace_ = pace_ < 0 ? sample : 0.5 * pace_ + 0.5 * sample;
}

bool SpawnWorker::answers_soon() const {
  return busy() && info_.task_seconds * static_cast<double>(in_flight_.size()) < wake_seconds;
}

bool SpawnWorker::end_task(std::size_t task) {
  if (process_ == nullptr) return false;
  const std::uint64_t begun = process_->begun();
  const bool runs =
      begun > process_->received && in_flight_.after(begun - process_->received - 1) == task;
  if (runs) kill_in_task(begun);
  return runs;
}

void SpawnWorker::kill_in_task(std::uint64_t number) {
  killed_in_ = number;
  process_->kill_in_task(number);
}

/// In a task that began as the one that it was to end was done.
bool SpawnWorker::was_killed_too_late() const {
  const os::ChildEnd how = process_->end().how;
  return killed_in_ != 0 && process_->begun() > killed_in_ &&
         (how.signal == SIGKILL || !how.is_known);
}

ipc::Clock::time_point SpawnWorker::overdue_at() const {
  const bool has_others = in_flight_.size() > 1 || (in_flight_.size() == 1 && unsent_.size() > 0);
  if (!has_others || process_ == nullptr || !process_->ready || process_->stopping || taken_back_ ||
      leaving_) {
    return ipc::Clock::time_point::max();
  }
  return std::max(in_flight_.oldest_since() + long_task, not_before_);
}

bool SpawnWorker::take_back() {
  const auto begun = process_->stop_before_next();
  if (!begun) {
    // It has begun none yet (it makes its state, or was stopped), or the system can't.
    not_before_ = ipc::Clock::now() + long_task;
    return false;
  }
  take_back_behind(*begun);
  return true;
}

void SpawnWorker::take_back_behind(std::uint64_t begun) {
  taken_back_ = true;
  drop_unsent();
  in_flight_.take_back_behind(static_cast<std::size_t>(begun - process_->received));
  // Those before it may be done, and their results wait to be sent with its own.
  if (!process_->has_input()) {
    const std::size_t known = known_results_;
    const std::uint64_t before = process_->received;
    process_->receive_unsent(
        [this](ipc::Kind kind, std::span<const std::byte> content) { take_frame(kind, content); });
    known_results_ = known + static_cast<std::size_t>(process_->received - before);
  }
}

bool SpawnWorker::feed() {
  if (process_ == nullptr || leaving_ || timed_out_ || taken_back_ || process_->stopping) {
    return false;
  }
  bool any = false;
  if (lost_hosts_.has_suspects()) info_.batch = 1;
  if (unsent_.size() == 0 && wants_tasks() && loop_.take(unsent_, info_)) {
    if (lost_hosts_.has_suspects() && unsent_.size() > 1) {  // a batch size that was set
      loop_.give_back({unsent_.first + 1, std::exchange(unsent_.last, unsent_.first + 1)});
    }
    last_batch_ = unsent_.size();
    unsent_attempt_ = loop_.attempt(unsent_);
    any = true;
  }
  if (unsent_.size() > 0 && lost_hosts_.may_go(unsent_.first, process_->machine())) {
    any = send_tasks() || any;
  }
  return any;
}

void SpawnWorker::ring() {
  if (process_ != nullptr && std::exchange(rings_, false)) process_->ring();
}

bool SpawnWorker::send_tasks() {
  const std::size_t before = unsent_.size();
  while (unsent_.size() > 0 && !segments_.full() && process_->has_room(2 * ipc::max_frame) &&
         send_frame()) {
  }
  return unsent_.size() < before;
}

/// Sends tasks that run the same code. False where that can't go on.
bool SpawnWorker::send_frame() {
  LoopTasks& tasks = loop_.tasks();
  PortableCode code;
  std::uint32_t count = 0;
  frame_.clear();
  while (unsent_.size() > 0 && frame_.size() < frame_full && (count == 0 || !segments_.full())) {
    const std::size_t task = unsent_.first;
    try {
      const PortableCode its = tasks.portable(task);
      if (count == 0) {
        code = its;
        const std::uint32_t run =
            process_->function_number(reinterpret_cast<const void*>(code.run));
        if (code.open != nullptr && callable_ == 0) callable_ = open_callable(code.open);
        frame_.clear();
        frame_.put(TasksHead{.share_results_from = share_results_from_,
                             .run = run,
                             .callable = code.open != nullptr ? callable_ : 0,
                             .first = task,
                             .attempt = unsent_attempt_,
                             .worker = info_.number});
      } else if (its.run != code.run || its.open != code.open) {
        break;
      }
      variables_.note(its.called);
      append(tasks, task);
      ++unsent_.first;
      ++count;
    } catch (...) {
      ++unsent_.first;
      loop_.failed(task, info_, std::current_exception(), ipc::Clock::now(), 0);
      // The tasks of a frame are in a row.
      if (loop_.stopping() || count > 0) break;
    }
  }
  if (count == 0) return false;
  const bool together = loop_.needs_batch_times() || count > 1 || is_far();
  const ipc::Times times = loop_.needs_task_times() ? ipc::Times::each
                           : together               ? ipc::Times::together
                                                    : ipc::Times::none;
  frame_.patch(offsetof(TasksHead, count), count);
  frame_.patch(offsetof(TasksHead, times), times);
  // Modules that the arguments mention for the first time.
  process_->announce_modules();
  if (!process_->send(ipc::Kind::tasks, frame_.bytes())) return false;  // handle_exit() sees to it
  process_->ring();
  rings_ = false;
  return true;
}

void SpawnWorker::append(LoopTasks& tasks, std::size_t task) {
  encoder_.clear();
  tasks.encode_task(task, encoder_);
  variables_.note(encoder_.code());
  workers::WorkerSegments sender(segments_, *process_);
  append_task(frame_, task, encoder_, sender);
  if (in_flight_.empty() && is_far()) in_flight_.set_oldest_since(ipc::Clock::now());
  in_flight_.append(task);
}

std::uint32_t SpawnWorker::open_callable(OpenCallable open) {
  const std::uint32_t number = process_->next_callable++;
  encoder_.clear();
  loop_.tasks().encode_callable(encoder_);
  variables_.note(encoder_.code());
  payload_.clear();
  payload_.put(number);
  payload_.put(process_->function_number(reinterpret_cast<const void*>(open)));
  workers::WorkerSegments sender(segments_, *process_);
  workers::write_payload(payload_, encoder_.meta(), encoder_.segments(), &sender);
  process_->announce_modules();
  process_->send(ipc::Kind::callable, payload_.bytes());
  return number;
}

bool SpawnWorker::receive() {
  if (process_ == nullptr || !process_->has_input()) return false;
  rings_ = true;  // it may be waiting for room
  const bool was_ready = process_->ready;
  process_->receive(
      [this](ipc::Kind kind, std::span<const std::byte> content) { take_frame(kind, content); }, 1);
  if (!was_ready && process_->ready) {
    in_flight_.set_oldest_since(ipc::Clock::now());
    info_.pid = process_->pid();
  }
  return true;
}

void SpawnWorker::take_frame(ipc::Kind kind, std::span<const std::byte> content) {
  if (kind == ipc::Kind::left) return take_left(content);
  if (kind == ipc::Kind::variables) return variables_.take_answer(content);
  if (kind == ipc::Kind::resumed) {
    taken_back_ = false;
    return;
  }
  if (kind == ipc::Kind::initialized) {
    process_->initialized = true;
    in_flight_.set_oldest_since(ipc::Clock::now());
    return;
  }
  if (kind == ipc::Kind::stopped) {
    ipc::FieldReader begun(content);
    return take_back_behind(begun.get<std::uint64_t>());
  }
  const std::size_t known = kind == ipc::Kind::results ? std::exchange(known_results_, 0) : 0;
  const std::optional<std::size_t> next = in_flight_.after(0);
  const std::size_t settled =
      settle_frame(in_flight_, kind, content, process_->segments(), known).value_or(0);
  process_->received += settled;
  if (settled == 0) return;
  if (lost_hosts_.has_suspects()) lost_hosts_.done(*next);
  if (is_far() && kind == ipc::Kind::results) note_pace(content);
  idle_deaths_ = 0;
  timed_out_ = false;  // the task was done before it could be ended
}

void SpawnWorker::take_left(std::span<const std::byte> content) {
  leaving_ = true;
  if (!content.empty() && !in_flight_.empty()) {
    // The initializer failed: what it threw is the error of the task that came for it.
    in_flight_.take_error(unpack_error(content), in_flight_.oldest_since(), {});
  }
}

std::exception_ptr SpawnWorker::death(std::size_t task, bool ran) const {
  const int pid = process_->pid();
  const std::string which = "task " + std::to_string(task);
  if (process_->ready) {
    if (timed_out_) return killed_for_task(pid, task, task_timeout_);
    return worker_died(
        pid, process_->end(),
        ran ? "while it ran " + which
            : "before it began " + which + ", as did those before it: its initializer may end it");
  }
  const std::string& host = process_->host();
  const std::string reason =
      host.empty() ? "the program may not have become a worker (call hoist::worker_main first in "
                     "main), or something ended it before main"
                   : base::quoted(host) +
                         " may not be hoist's program hoist-worker, or can't load the library "
                         "without its program";
  return worker_died(pid, process_->end(),
                     "without answering, when it was started for " + which + ": " + reason);
}

bool SpawnWorker::handle_exit() {
  if (process_ == nullptr) return false;
  if (!process_->dead() && !leaving_) return false;
  if (process_->dead()) {
    while (receive()) {  // what it still said
    }
    process_->receive_unsent(
        [this](ipc::Kind kind, std::span<const std::byte> content) { take_frame(kind, content); });
    is_orphan_ = !process_->end().lost.empty();
    if (is_orphan_) {
      in_flight_.end_lost([this](std::size_t task) {
        return lost_hosts_.note(task, process_->pid(), process_->end());
      });
    }
    const bool too_late = was_killed_too_late();
    const bool ran = process_->begun() > process_->received && !too_late;
    const bool hopeless = !too_late && (!process_->ready || ++idle_deaths_ >= 3 || timed_out_);
    const auto error = [&](std::size_t task) { return death(task, ran); };
    if (in_flight_.end(ran || (hopeless && !leaving_), error)) idle_deaths_ = 0;
  }
  variables_.forget(*process_);
  process_.reset();
  callable_ = 0;
  in_flight_.take_back_all();
  drop_unsent();
  return true;
}

void SpawnWorker::drop_unsent() {
  if (unsent_.size() > 0) loop_.give_back(std::exchange(unsent_, {}));
}

ipc::Clock::time_point SpawnWorker::deadline() const {
  if (process_ == nullptr || in_flight_.empty() || timed_out_) {
    return ipc::Clock::time_point::max();
  }
  if (!process_->ready) return process_->started + start_limit;
  if (!task_timeout_.is_set() || is_initializing()) return ipc::Clock::time_point::max();
  return in_flight_.oldest_since() + std::chrono::duration_cast<ipc::Clock::duration>(
                                         std::chrono::duration<double>(task_timeout_.seconds()));
}

/// The initializer's time is not that of the task which waits for it.
bool SpawnWorker::is_initializing() const {
  return loop_.options().workers.initializer && !process_->initialized;
}

void SpawnWorker::check_deadline() {
  const ipc::Clock::time_point limit = deadline();
  if (limit == ipc::Clock::time_point::max() || ipc::Clock::now() < limit) return;
  // What it has sent may say that the task is done: this thread may come late (a generator's
  // consumer took its time).
  if (process_->has_input()) return;
  timed_out_ = true;
  if (process_->ready) {
    kill_in_task(process_->received + 1);
  } else {
    process_->kill();
  }
}

}  // namespace hoist::detail::backends
