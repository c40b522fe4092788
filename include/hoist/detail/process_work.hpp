// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/task.hpp>

#include <cstddef>
#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace hoist {
class ProcessHandle;
}

namespace hoist::detail {

/// Runs in a process that did not inherit what it is to do: decodes that, and does it.
using RunWork = void (*)(Decoder& from);

/// What a process is started for.
class ProcessWork {
 public:
  virtual ~ProcessWork();
  /// Does it, in a forked child.
  virtual void run() = 0;
  /// Encodes it for a process that did not inherit it, which calls what is returned. Throws
  /// CannotTravel, which names the argument.
  virtual RunWork send(Encoder& to) const = 0;
};

/// From now on `object` stands for the process that runs this.
void become_own_process(ProcessHandle& object);

template <class F, class... Args>
void run_sent_call(Decoder& from) {
  Received<F> callable(from);
  ReceivedAll<Args...> args(from);
  from.finish();
  args.call([&](ReceivedArgument<Args>&... received) {
    using Callable = std::remove_reference_t<decltype(callable.get())>;
    invoke_received<Callable, Args...>(callable.get(), received...);
  });
}

/// A call; its result is ignored.
template <class F, class... Args>
class CallWork final : public ProcessWork {
 public:
  template <class Function, class... Arguments>
  explicit CallWork(Function&& f, Arguments&&... args)
      : f_(std::forward<Function>(f)), args_(std::forward<Arguments>(args)...) {}

  void run() override {
    std::apply(
        [this](Args&... args) {
          if constexpr (std::is_invocable_v<F&, Args...>) {
            std::invoke(f_, std::move(args)...);
          } else {
            std::invoke(f_, args...);
          }
        },
        args_);
  }

  RunWork send(Encoder& to) const override {
    find_written<true, F, Args...>(throw_writes_to_copy);
    std::apply([&](const Args&... args) { send_call<F, Args...>(to, f_, args...); }, args_);
    return &run_sent_call<F, Args...>;
  }

 private:
  F f_;
  std::tuple<Args...> args_;
};

template <class T>
void run_sent_object(Decoder& from) {
  Received<T> received(from);
  from.finish();
  become_own_process(received.get());
  received.get().run();
}

/// The run() of an object of a class derived from ProcessBase.
template <class T>
class ObjectWork final : public ProcessWork {
 public:
  explicit ObjectWork(T& object) : object_(object) {}

  void run() override { object_.run(); }
  RunWork send(Encoder& to) const override {
    send_callable<T>(to, object_);
    return &run_sent_object<T>;
  }

 private:
  T& object_;
};

}  // namespace hoist::detail
