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

struct WorkerState {
  std::shared_ptr<void> object;
  const std::type_info* type = nullptr;
};

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

/// The state of this worker process; of the calling thread where the program itself runs tasks.
WorkerState& worker_state_here();
[[noreturn]] void throw_no_worker_state(const std::type_info& wanted, const std::type_info* found);

}  // namespace detail

/// A call that each worker makes once, before its first task. What it returns is the worker's state:
/// tasks get it with `worker_state<T>()`, and it is destroyed when the worker leaves.
class WorkerInitializer {
 public:
  WorkerInitializer() = default;

  /// `f(args...)`. Throws CannotTravel for what can't be sent to another process.
  template <class F, class... Args>
    requires(!std::same_as<std::decay_t<F>, WorkerInitializer>)
  WorkerInitializer(F&& f, Args&&... args) {  // implicit: `.initializer = load_model`
    detail::Encoder encoder;
    detail::send_call<std::decay_t<F>, std::decay_t<Args>...>(encoder, f, args...);
    keep(encoder.take(), &detail::initialize<std::decay_t<F>, std::decay_t<Args>...>);
  }

  explicit operator bool() const noexcept { return run_ != nullptr; }
  /// Equal function and equal arguments: workers can be shared.
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

/// What worker processes are like. Loops with equal options share workers.
struct WorkerOptions {
  /// Runs once in each worker before its first task.
  WorkerInitializer initializer = {};
  /// Environment variables set in the workers, over those of this process.
  std::map<std::string, std::string> env = {};
  /// A worker leaves after so many tasks, and another takes its place; 0: never. For tasks that leak.
  std::size_t max_tasks = 0;
  /// A worker whose resident memory is above this (bytes) after a task leaves likewise; 0: no limit.
  std::size_t rss_limit = 0;
  /// A worker that had nothing to do for so long leaves.
  std::chrono::milliseconds idle_timeout = std::chrono::minutes(5);
  /// Starts each line that a worker prints with "[pid] ".
  bool prefix_output = false;

  friend bool operator==(const WorkerOptions&, const WorkerOptions&) = default;
};

/// The state that this worker's initializer returned. Throws BadArgument where it returned none or
/// one of another type. The reference stays good for as long as the worker lives.
template <class T>
T& worker_state() {
  detail::WorkerState& state = detail::worker_state_here();
  if (state.type == nullptr || *state.type != typeid(T)) {
    detail::throw_no_worker_state(typeid(T), state.type);
  }
  return *static_cast<T*>(state.object.get());
}

/// Whether this process is a worker of backend "spawn".
bool in_worker() noexcept;

/// Makes this process a worker if it was started as one, and does not return then; otherwise returns
/// at once. To be the first statement of main where the C library isn't glibc, or is linked in
/// statically; elsewhere workers start without it, and calling it does no harm.
void worker_main(int argc, char** argv);

}  // namespace hoist
