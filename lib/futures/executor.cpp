// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/executor.hpp>

#include <hoist/error.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "futures/callback_thread.hpp"
#include "futures/executor_loop.hpp"
#include "futures/loop_options.hpp"
#include "os/fork_hook.hpp"

namespace hoist {

namespace detail {

namespace futures {

/// The loop may be replaced: by one with other options, and by one of its own in a forked child.
/// Old ones stay until the end, as futures and other threads may refer to them.
struct ExecutorState {
  ExecutorState(ParallelOptions given, ExecutorHandle::Manners its)
      : options(std::move(given)), manners(its) {
    make_loop();
  }

  ExecutorLoop& current() {
    if (ExecutorLoop* const now = loop.load(std::memory_order_acquire)) return *now;
    const std::lock_guard lock(mutex);
    return loop.load() != nullptr ? *loop.load() : make_loop();
  }
  ExecutorLoop& make_loop() {
    loops.push_back(
        std::make_shared<ExecutorLoop>(options, manners.kill_on_cancel, manners.ends_with_program));
    loop.store(loops.back().get(), std::memory_order_release);
    return *loops.back();
  }

  ParallelOptions options;
  ExecutorHandle::Manners manners;
  std::mutex mutex;
  std::vector<std::shared_ptr<ExecutorLoop>> loops;
  std::atomic<ExecutorLoop*> loop{nullptr};
  os::ForkHook renew{mutex, [this] { loop.store(nullptr); }};
};

namespace {

[[noreturn]] void throw_waits_for_itself() {
  throw BadArgument("a call of an executor can't wait for the end of that executor");
}

}  // namespace

}  // namespace futures

ExecutorHandle::ExecutorHandle(const ParallelOptions& options, Manners manners)
    : state_(std::make_shared<futures::ExecutorState>(options, manners)) {}

void ExecutorHandle::take(Submission& call) const {
  for (;;) {
    futures::ExecutorLoop& loop = state_->current();
    if (loop.submit(call)) return;
    if (&loop == &state_->current()) {
      throw BadArgument("the executor or pool was shut down: it takes no more calls");
    }
  }
}

unsigned ExecutorHandle::workers() const { return state_->current().settings().n_jobs; }

void ExecutorHandle::shut_down(bool wait, bool cancel) const {
  futures::ExecutorLoop& loop = state_->current();
  if (wait && loop.runs_here()) futures::throw_waits_for_itself();
  loop.close(cancel);
  if (wait) {
    loop.finish();
    futures::await_callbacks(&loop, Deadline::max());
  } else {
    loop.retire();
  }
}

void ExecutorHandle::kill(const char* how) const {
  state_->current().kill(std::make_exception_ptr(
      Cancelled(std::string("the call was ended by ") + how + ", as all of its executor")));
}

void ExecutorHandle::join() const {
  futures::ExecutorLoop& loop = state_->current();
  if (loop.runs_here()) futures::throw_waits_for_itself();
  loop.finish();
  futures::await_callbacks(&loop, Deadline::max());
}

bool ExecutorHandle::runs_here() const { return state_->current().runs_here(); }

bool ExecutorHandle::is_closed() const { return state_->current().is_closed(); }

void ExecutorHandle::replace(const ParallelOptions& options, Manners manners) const {
  futures::ExecutorLoop* old = nullptr;
  {
    const std::lock_guard lock(state_->mutex);
    state_->options = options;
    state_->manners = manners;
    old = state_->loop.load();
    state_->make_loop();
  }
  if (old != nullptr) old->retire();
}

void check_chunk(std::size_t chunk) {
  if (chunk == 0) throw BadArgument("chunksize is 0; it must be at least 1");
}

namespace {

/// What get_reusable_executor() refers to.
class ReusableExecutor : public ProcessPoolExecutor {
 public:
  explicit ReusableExecutor(const ExecutorOptions& options)
      : ProcessPoolExecutor(options),
        loop_(futures::loop_options(options, nullptr)),
        kill_on_cancel_(options.kill_on_cancel) {}

  void use(const ExecutorOptions& options) {
    ParallelOptions wanted = futures::loop_options(options, nullptr);
    const std::lock_guard lock(mutex_);
    const bool same = is_same(wanted) && kill_on_cancel_ == options.kill_on_cancel;
    if (same && !handle_.is_closed()) return;
    loop_ = std::move(wanted);
    kill_on_cancel_ = options.kill_on_cancel;
    handle_.replace(loop_, {.kill_on_cancel = kill_on_cancel_});
  }

 private:
  bool is_same(const ParallelOptions& wanted) const {
    const auto seconds = [](const TimeLimit& limit) {
      return limit.is_set() ? limit.seconds() : 0;
    };
    return wanted.n_jobs == loop_.n_jobs && wanted.backend == loop_.backend &&
           wanted.retries == loop_.retries && wanted.workers == loop_.workers &&
           seconds(wanted.task_timeout) == seconds(loop_.task_timeout);
  }

  std::mutex mutex_;
  ParallelOptions loop_;
  bool kill_on_cancel_;
};

constinit os::PerProcess<ReusableExecutor> reusable;

}  // namespace

}  // namespace detail

Executor::~Executor() {
  // The last reference to it may be in one of its own calls.
  if (!handle_.is_closed()) handle_.shut_down(!handle_.runs_here(), false);
}

ThreadPoolExecutor::ThreadPoolExecutor(const ExecutorOptions& options)
    : Executor({detail::futures::loop_options(options, "a ThreadPoolExecutor"), {}}) {}

ProcessPoolExecutor::ProcessPoolExecutor(const ExecutorOptions& options)
    : Executor({detail::futures::loop_options(options, nullptr),
                {.kill_on_cancel = options.kill_on_cancel}}) {}

BackendExecutor::BackendExecutor(std::string backend, ParallelOptions options)
    : Executor({[&] {
                  options.backend = std::move(backend);
                  detail::check_options(options);
                  return std::move(options);
                }(),
                {}}) {}

ProcessPoolExecutor& get_reusable_executor(const ExecutorOptions& options) {
  detail::ReusableExecutor& executor =
      detail::reusable.here([&] { return new detail::ReusableExecutor(options); });
  executor.use(options);
  return executor;
}

}  // namespace hoist
