// SPDX-License-Identifier: BSD-3-Clause
#include "workers/worker_loop.hpp"

#include <hoist/backend.hpp>
#include <hoist/detail/envelope.hpp>
#include <hoist/share.hpp>
#include <hoist/this_task.hpp>
#include <hoist/worker.hpp>

#include <poll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cfenv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <optional>

#include "fingerprint/variable_values.hpp"
#include "ipc/link.hpp"
#include "ipc/shared_bytes.hpp"
#include "os/log.hpp"
#include "os/process_barrier.hpp"
#include "os/process_end.hpp"
#include "os/socket.hpp"
#include "os/thread_pool.hpp"
#include "os/working_place.hpp"
#include "program/stack_trace.hpp"
#include "workers/flush_timer.hpp"
#include "workers/launch.hpp"
#include "workers/payload.hpp"
#include "workers/result_frames.hpp"

namespace hoist {

namespace {
bool is_worker = false;
}

bool in_worker() noexcept { return is_worker; }

namespace detail::workers {

namespace {

/// Ends this worker and the processes it started.
[[noreturn]] void end_group(int code) {
  if (::getpgrp() == ::getpid()) ::kill(0, SIGKILL);
  ::_exit(code);
}

/// Waits in a thread of its own for the end of the parent, told by its process descriptor or, where
/// it has none, by the socket. The kernel's own death signal won't do: it goes off when the thread
/// ends that started the worker, and leaves the worker no time to take its children along.
void watch_parent(int socket, int parent) {
  pollfd ends[2] = {{socket, 0, 0}, {parent, POLLIN, 0}};
  for (;;) {
    if (::poll(ends, parent >= 0 ? 2 : 1, -1) > 0) end_group(0);
  }
}

std::size_t resident_bytes() {
  std::size_t pages = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
    unsigned long total = 0;
    unsigned long resident = 0;
    if (std::fscanf(file, "%lu %lu", &total, &resident) == 2) pages = resident;
    std::fclose(file);
  }
  return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

void flush_output() {
  std::cout.flush();
  std::fflush(stdout);
}

/// The result of a task on its way into the frames for the parent.
class TaskReply final : public Reply {
 public:
  explicit TaskReply(ResultFrames& results) : results_(results) {}

  void start(std::size_t shared_from) {
    encoder().clear();
    shared_from_ = shared_from;
    finished_ = false;
  }
  void finish() override {
    if (!results_.add(encoder(), shared_from_)) end_group(0);
    finished_ = true;
  }
  bool finished() const { return finished_; }

 private:
  ResultFrames& results_;
  std::size_t shared_from_ = large_storage;
  bool finished_ = false;
};

/// The life of a worker: takes what the parent sends, frame by frame.
class WorkerLoop {
 public:
  WorkerLoop(int socket, bool is_hosted) : socket_(socket) {
    allocate_large.store(&ipc::allocate_shared);
    greet(is_hosted);
  }

  [[noreturn]] void run() {
    const program::RecordThrows record;
    for (;;) {
      receive_frames(
          link_, segments_,
          [this](ipc::Kind kind, std::span<const std::byte> content) { handle(kind, content); }, 1);
      if (!link_.has_input()) {
        flush_output();
        link_.ring();
        bell().wait(ipc::Clock::time_point::max(), [this] { return link_.has_input(); });
      }
    }
  }

 private:
  struct Callable {
    std::shared_ptr<void> object;
    std::exception_ptr error;
  };

  ipc::Bell& bell() { return memory_.state().worker_bell; }

  void greet(bool is_hosted) {
    std::vector<std::byte> bytes;
    std::vector<os::Fd> fds;
    if (!os::receive_message(socket_, 4096, bytes, fds)) ::_exit(0);
    ipc::FieldReader hello(bytes);
    if (hello.get<std::uint32_t>() != ipc::channel_version || fds.size() < 2) {
      os::log(LogLevel::error, "workers", "this worker and its parent are of different versions");
      ::_exit(125);
    }
    max_tasks_ = hello.get<std::uint64_t>();
    rss_limit_ = hello.get<std::uint64_t>();
    const std::string build_id = hello.text();
    os::join_process_barriers();
    memory_ = ipc::ChannelMemory::open(fds[0].get());
    board_.emplace(ipc::BellBoard::open(fds[1].get()));
    link_ = ipc::Link(memory_, socket_, true);
    results_ = ResultFrames(link_, memory_.state());
    follow_bell();
    // The first module of a process is the program itself.
    if (is_hosted) {
      add_missing_peer_module(
          "workers run the program hoist-worker, since hoist is in a library only: they have the "
          "functions and constants of libraries, but not those of the program");
    } else {
      add_peer_module({"", build_id});
    }
    ipc::FieldWriter ready;
    ready.put(static_cast<std::int64_t>(::getpid()));
    send(ipc::Kind::ready, ready.bytes());
    link_.ring();
    const int parent = fds.size() > 2 ? fds[2].release() : -1;
    os::ThreadPool::start_beside("hoist-parent",
                                 [socket = socket_, parent] { watch_parent(socket, parent); });
  }

  /// Loops come and go, each with a bell of its own.
  void follow_bell() {
    link_.set_peer_bell(&board_->bell(memory_.state().parent_bell.load(std::memory_order_acquire)));
  }

  void send(ipc::Kind kind, std::span<const std::byte> content, int fd = -1) {
    if (!link_.send(kind, content, fd, bell(), [] { return false; })) end_group(0);
  }

  void handle(ipc::Kind kind, std::span<const std::byte> content) {
    ipc::FieldReader fields(content);
    switch (kind) {
      case ipc::Kind::module: {
        ModuleName name;
        name.build_id = fields.text();
        name.path = fields.text();
        add_peer_module(name);
        break;
      }
      case ipc::Kind::function: {
        CodeAddress address;
        address.module = fields.get<std::uint64_t>();
        address.offset = fields.get<std::uint64_t>();
        functions_.push_back(address);
        break;
      }
      case ipc::Kind::callable: open_callable(fields); break;
      case ipc::Kind::forget_callable: callables_.erase(fields.get<std::uint32_t>()); break;
      case ipc::Kind::forget_segment:
        forget_shared_value(segments_.forget(fields.get<std::uint32_t>()));
        break;
      case ipc::Kind::initializer: initialize_state(fields); break;
      case ipc::Kind::context: enter_loop(fields); break;
      case ipc::Kind::place: enter_place(fields); break;
      case ipc::Kind::tasks: run_tasks(fields); break;
      case ipc::Kind::resume:
        memory_.state().last_to_begin.store(ipc::ChannelState::any_task);
        send(ipc::Kind::resumed, {});
        link_.ring();
        break;
      case ipc::Kind::variables: compare_variables(fields); break;
      case ipc::Kind::leave: leave();
      default: throw DamagedData("a worker got a frame of a kind it doesn't know");
    }
  }

  const void* function(std::uint32_t number) { return resolve_code(functions_.at(number)); }

  void open_callable(ipc::FieldReader& fields) {
    Callable callable;
    const auto number = fields.get<std::uint32_t>();
    const auto open = fields.get<std::uint32_t>();
    try {
      PayloadSource source(fields.left(), segments_, false);
      Decoder decoder(source);
      callable.object = reinterpret_cast<OpenCallable>(const_cast<void*>(function(open)))(decoder);
    } catch (...) {
      callable.error = std::current_exception();
    }
    callables_[number] = std::move(callable);
  }

  void initialize_state(ipc::FieldReader& fields) {
    try {
      const auto number = fields.get<std::uint32_t>();
      fields.get<std::uint32_t>();
      PayloadSource source(fields.left(), segments_, false);
      Decoder decoder(source);
      reinterpret_cast<Initialize>(const_cast<void*>(function(number)))(decoder,
                                                                        worker_state_here());
      send(ipc::Kind::initialized, {});
      link_.ring();
    } catch (...) {
      leave_with(std::current_exception());
    }
  }

  void enter_loop(ipc::FieldReader& fields) {
    try {
      segments_.set_argument_mode(static_cast<MmapMode>(fields.get<std::uint32_t>()));
      fields.get<std::uint32_t>();
      PayloadSource source(fields.left(), segments_, false);
      Decoder decoder(source);
      enter_context(decoder);
    } catch (...) {
      leave_with(std::current_exception());
    }
  }

  void compare_variables(ipc::FieldReader& fields) {
    ipc::FieldWriter differing;
    differing.put(fields.get<std::uint32_t>());
    const auto count = fields.get<std::uint32_t>();
    for (std::uint32_t number = 0; number < count; ++number) {
      CodeAddress where;
      where.module = fields.get<std::uint64_t>();
      where.offset = fields.get<std::uint64_t>();
      fingerprint::VariableBytes bytes{.size = fields.get<std::uint64_t>()};
      const auto digest = fields.get<Digest>();
      try {
        bytes.begin = reinterpret_cast<std::uint64_t>(resolve_code(where));
        if (fingerprint::digest_values({&bytes, 1}) != digest) differing.put(number);
      } catch (const CannotTravel&) {
        // A variable of the program, and this process runs another (hoist-worker).
      }
    }
    send(ipc::Kind::variables, differing.bytes());
    link_.ring();
  }

  void enter_place(ipc::FieldReader& fields) {
    try {
      const auto umask = fields.get<std::uint32_t>();
      const auto floats = fields.get<std::fenv_t>();
      os::enter({.directory = fields.text(), .umask = umask, .floats = floats});
    } catch (...) {
      leave_with(std::current_exception());
    }
  }

  void run_tasks(ipc::FieldReader& fields) {
    follow_bell();
    auto count = fields.get<std::uint32_t>();
    const auto times = static_cast<ipc::Times>(fields.get<std::uint32_t>());
    const auto shared_from = static_cast<std::size_t>(fields.get<std::uint64_t>());
    const auto code = fields.get<std::uint32_t>();
    const auto number = fields.get<std::uint32_t>();
    TaskInfo task{.index = static_cast<std::size_t>(fields.get<std::uint64_t>())};
    task.attempt = fields.get<std::uint32_t>();
    task.worker = fields.get<std::uint32_t>();
    const TaskScope task_scope(&task);
    const Callable* callable = number != 0 ? &callables_.at(number) : nullptr;
    Callable missing;
    RunCall call = nullptr;
    try {
      call = reinterpret_cast<RunCall>(const_cast<void*>(cached_function(code)));
    } catch (...) {
      missing.error = std::current_exception();
      callable = &missing;
    }
    results_.start(times != ipc::Times::none);
    FlushTimer timer(times == ipc::Times::each, results_.now());
    for (std::size_t index = task.index; count > 0; --count, ++index) {
      const auto payload = fields.take(fields.get<std::uint32_t>());
      if (!begin_task()) continue;
      task.index = index;
      reply_.start(shared_from);
      run_task(payload, call, callable);
      if (max_tasks_ != 0 && begun_ >= max_tasks_) retire();
      if (rss_limit_ != 0 && resident_bytes() > rss_limit_) retire();
      if (times == ipc::Times::none) continue;
      if (times == ipc::Times::each) results_.close();
      if (timer.due()) {
        results_.close();
        link_.ring();
      }
    }
    results_.close();
  }

  /// False for a task that the parent has taken back.
  bool begin_task() {
    ipc::ChannelState& state = memory_.state();
    state.begun.store(begun_ + 1, std::memory_order_release);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (state.last_to_begin.load(std::memory_order_relaxed) <= begun_ && !may_begin()) {
      state.begun.store(begun_, std::memory_order_release);
      return false;
    }
    ++begun_;
    return true;
  }

  /// The parent takes tasks back: whether it has counted the next one among those that had begun.
  bool may_begin() {
    ipc::ChannelState& state = memory_.state();
    std::uint64_t last = ipc::ChannelState::undecided;
    bell().wait(ipc::Clock::time_point::max(), [&] {
      last = state.last_to_begin.load(std::memory_order_acquire);
      return last != ipc::ChannelState::undecided;
    });
    return begun_ < last;
  }

  void run_task(std::span<const std::byte> payload, RunCall call, const Callable* callable) {
    try {
      if (callable != nullptr && callable->error) std::rethrow_exception(callable->error);
      task_source_.start(payload);
      call(callable != nullptr ? callable->object.get() : nullptr, task_decoder_, reply_);
      task_decoder_.restart();  // forgets the shared objects among the arguments
    } catch (...) {
      task_decoder_.restart();
      if (reply_.finished()) return;  // a destructor threw
      if (!results_.add_error(pack_error(std::current_exception()))) end_group(0);
    }
  }

  /// resolve_code takes a lock; tasks in a row mostly run one function.
  const void* cached_function(std::uint32_t number) {
    if (number != last_function_) {
      last_address_ = function(number);
      last_function_ = number;
    }
    return last_address_;
  }

  [[noreturn]] void retire() {
    results_.close();
    send(ipc::Kind::left, {});
    leave();
  }

  [[noreturn]] void leave_with(const std::exception_ptr& error) {
    send(ipc::Kind::left, pack_error(error));
    leave();
  }

  [[noreturn]] void leave() {
    link_.ring();
    callables_.clear();
    worker_state_here() = {};
    os::run_process_end();
    flush_output();
    std::fflush(nullptr);
    std::cerr.flush();
    // Not exit(): destructors of static objects are the business of the program, which runs
    // elsewhere.
    ::_exit(0);
  }

  int socket_;
  ipc::ChannelMemory memory_;
  std::optional<ipc::BellBoard> board_;
  ipc::Link link_;
  SegmentTable segments_;
  PayloadSource task_source_{segments_, false};
  Decoder task_decoder_{task_source_};
  std::vector<CodeAddress> functions_;
  std::map<std::uint32_t, Callable> callables_;
  ResultFrames results_;
  TaskReply reply_{results_};
  std::uint64_t begun_ = 0;
  std::uint64_t max_tasks_ = 0;
  std::uint64_t rss_limit_ = 0;
  std::uint32_t last_function_ = static_cast<std::uint32_t>(-1);
  const void* last_address_ = nullptr;
};

}  // namespace

void run_worker(int channel, bool is_hosted) {
  is_worker = true;
  ::unsetenv(worker_variable);
  // Ctrl-C is for the parent, who tells its workers what to do. Others as for any new program.
  ::signal(SIGINT, SIG_IGN);
  ::signal(SIGPIPE, SIG_DFL);
  ::prctl(PR_SET_NAME, "hoist-worker");
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  try {
    // Not on the stack of a function that could be left: the watching thread never ends.
    auto* const worker = new WorkerLoop(channel, is_hosted);
    worker->run();
  } catch (const std::exception& error) {
    os::log(LogLevel::error, "workers", std::string("worker: ") + error.what());
    end_group(125);
  }
}

}  // namespace detail::workers
}  // namespace hoist
