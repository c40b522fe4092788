// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/task.hpp>
#include <hoist/error.hpp>
#include <hoist/worker_options.hpp>

#include <concepts>
#include <memory>
#include <type_traits>
#include <utility>

namespace hoist {

namespace detail {

/// An `Initialize`.
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
[[nodiscard]] bool in_worker() noexcept;

/// Makes this process a worker if it was started as one, and then does not return; otherwise
/// returns at once. It must be the first statement of main if the C library isn't glibc or is
/// linked statically; with a shared glibc workers start without it, and calling it is harmless.
void worker_main(int argc, char** argv);

}  // namespace hoist
