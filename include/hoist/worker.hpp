// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/detail/task.hpp>
#include <hoist/error.hpp>
#include <hoist/worker_options.hpp>

#include <concepts>
#include <memory>
#include <type_traits>
#include <utility>

// State that a worker makes once and its tasks use: a connection, a model, a table.
//
//     const WorkerOptions workers{.initializer = {load_model, "model.hoist"}};
//     Parallel({.workers = workers})
//         .map(images, [](const Image& image) { return worker_state<Model>().classify(image); });

namespace hoist {

namespace detail {

/// Runs in a new worker: decodes the initializer's function and arguments, calls it, and keeps what
/// it returns as the worker's state.
template <class F, class... Args>
void initialize(Decoder& from, WorkerState& state) {
  Received<F> callable(from);
  ReceivedAll<Args...> args(from);
  from.finish();
  args.call([&](ReceivedArgument<Args>&... received) {
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

/// The state of the worker whose tasks the calling thread runs.
WorkerState& worker_state_here();
/// Throws BadArgument that names both types; `found` is null where there is no state.
[[noreturn]] void throw_no_worker_state(const std::type_info& wanted, const std::type_info* found);

}  // namespace detail

template <class F, class... Args>
  requires(!std::same_as<std::decay_t<F>, WorkerInitializer>)
WorkerInitializer::WorkerInitializer(F&& f, Args&&... args) {
  constexpr bool callable = detail::takes_received<std::decay_t<F>, std::decay_t<Args>...>;
  static_assert(callable, "initializer: the function can't be called with these arguments");
  if constexpr (callable) {
    detail::Encoder encoder;
    detail::send_call<std::decay_t<F>, std::decay_t<Args>...>(encoder, f, args...);
    keep(encoder.take(), &detail::initialize<std::decay_t<F>, std::decay_t<Args>...>);
  }
}

/// The value that this worker's initializer returned. `T` is exactly the type that it returned,
/// without reference and const. Throws BadArgument, with both types, if it returned none, or one of
/// another type, and outside of tasks. Tasks of one worker run one after the other, so that no lock
/// is needed; threads that a task starts don't see the state. The reference is valid until the
/// worker ends: a spawned process later than its loop, all others with it. Cost: a comparison of
/// types.
template <class T>
T& worker_state() {
  detail::WorkerState& state = detail::worker_state_here();
  if (state.type == nullptr || *state.type != typeid(T)) {
    detail::throw_no_worker_state(typeid(T), state.type);
  }
  return *static_cast<T*>(state.object.get());
}

/// True if this process is a worker of the backend "spawn"; forked children and threads are none.
/// Callable at any time, from any thread.
[[nodiscard]] bool in_worker() noexcept;

/// Makes this process a worker if it was started as one, and then does not return; otherwise
/// returns at once. It must be the first statement of main if the C library isn't glibc or is
/// linked statically; with a shared glibc workers start without it, and calling it is harmless.
void worker_main(int argc, char** argv);

}  // namespace hoist
