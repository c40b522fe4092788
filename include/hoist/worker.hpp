// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/task.hpp>
#include <hoist/error.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace hoist {

namespace detail {

/// What a worker's initializer returned.
struct WorkerState {
  std::shared_ptr<void> object;
  const std::type_info* type = nullptr;
};

/// Decodes an initializer's arguments, calls it, and keeps its result in `state`.
using Initialize = void (*)(Decoder& from, WorkerState& state);

template <class F, class... Args>
void initialize(Decoder& from, WorkerState& state) {
  Received<F> callable(from);
  ReceivedAll<Args...> args(from);
  from.finish();
  args.call([&](Received<Args>&... received) {
    using Callable = std::remove_reference_t<decltype(callable.get())>;
    Callable& f = callable.get();
    if constexpr (std::is_void_v<TaskResult<F, Args...>>) {
      invoke_received<Callable, Args...>(f, received...);
    } else {
      using State = TaskResult<F, Args...>;
      state.object =
          std::shared_ptr<State>(new State(invoke_received<Callable, Args...>(f, received...)));
      state.type = &typeid(State);
    }
  });
}

/// The state of this worker process; in a process that runs tasks itself, that of the calling
/// thread.
WorkerState& worker_state_here();
[[noreturn]] void throw_no_worker_state(const std::type_info& wanted, const std::type_info* found);

}  // namespace detail

/// A call that each worker makes once, before its first task. The return value is the worker's
/// state: tasks get it by `worker_state<T>()`, and it is destroyed when the worker exits. Usually
/// made implicitly: `.initializer = load_model` or `.initializer = {load_table, 10}`.
class WorkerInitializer {
 public:
  WorkerInitializer() = default;

  /// The call `f(args...)`. Throws CannotTravel if the function or an argument can't be sent to
  /// another process.
  template <class F, class... Args>
    requires(!std::same_as<std::decay_t<F>, WorkerInitializer>)
  WorkerInitializer(F&& f, Args&&... args) {  // implicit: `.initializer = load_model`
    detail::Encoder encoder;
    detail::send_call<std::decay_t<F>, std::decay_t<Args>...>(encoder, f, args...);
    keep(encoder.take(), &detail::initialize<std::decay_t<F>, std::decay_t<Args>...>);
  }

  /// False if there is no call to make.
  explicit operator bool() const noexcept { return run_ != nullptr; }
  /// True if function and arguments are equal, so that workers can be shared.
  friend bool operator==(const WorkerInitializer& a, const WorkerInitializer& b) noexcept {
    return a.run_ == b.run_ && a.value_ == b.value_;
  }

  /// For backends: the function, and its arguments in encoded form.
  detail::Initialize run() const noexcept { return run_; }
  const std::vector<std::byte>& value() const noexcept { return value_; }

 private:
  void keep(const detail::Encoded& encoded, detail::Initialize initialize);

  std::vector<std::byte> value_;
  detail::Initialize run_ = nullptr;
};

/// Properties of worker processes. Loops with equal options share workers.
struct WorkerOptions {
  /// Runs once in each worker before its first task.
  WorkerInitializer initializer = {};
  /// Environment variables set in the workers, in addition to those of this process.
  std::map<std::string, std::string> env = {};
  /// A worker exits after this many tasks and is replaced; 0: never. For tasks that leak memory.
  std::size_t max_tasks = 0;
  /// A worker exits and is replaced if its resident memory (bytes) exceeds this after a task; 0: no
  /// limit.
  std::size_t rss_limit = 0;
  /// A worker exits after this long without a task.
  std::chrono::milliseconds idle_timeout = std::chrono::minutes(5);
  /// Prefixes each line that a worker prints with "[pid] ".
  bool prefix_output = false;

  friend bool operator==(const WorkerOptions&, const WorkerOptions&) = default;
};

/// The value that this worker's initializer returned. Throws BadArgument if it returned none, or
/// one of another type. The reference is valid until the worker exits.
template <class T>
T& worker_state() {
  detail::WorkerState& state = detail::worker_state_here();
  if (state.type == nullptr || *state.type != typeid(T)) {
    detail::throw_no_worker_state(typeid(T), state.type);
  }
  return *static_cast<T*>(state.object.get());
}

/// True if this process is a worker of the backend "spawn".
bool in_worker() noexcept;

/// Makes this process a worker if it was started as one, and then does not return; otherwise
/// returns at once. It must be the first statement of main if the C library isn't glibc or is
/// linked statically; with a shared glibc workers start without it, and calling it is harmless.
void worker_main(int argc, char** argv);

}  // namespace hoist
