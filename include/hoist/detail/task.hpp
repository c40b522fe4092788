// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/array.hpp>
#include <hoist/detail/received_argument.hpp>
#include <hoist/error.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

namespace hoist::detail {

// A call made portable. The sender writes callable and arguments with send_call(); what travels
// with them is the code address of run_call<F, Args...>, which the compiler made in both processes.
// It decodes, calls, and replies with the result, which the sender reads with receive_result<R>().
// A callable common to many calls is sent once: open_callable<F> makes it, run_item<F, Args...>
// uses it.

/// Receives the result of a call. A call that throws does not finish it.
class Reply {
 public:
  /// What the result is encoded into, asked for when there is one. To be empty before the call.
  virtual Encoder& encoder() noexcept { return encoder_; }
  /// The result is encoded. Called before what its blocks are borrowed from is destroyed.
  virtual void finish() = 0;

 protected:
  ~Reply() = default;

 private:
  Encoder encoder_;
};

/// Runs one call in the worker. `callable` is what OpenCallable made, or null where it is in
/// `from`.
using RunCall = void (*)(void* callable, Decoder& from, Reply& reply);
using OpenCallable = std::shared_ptr<void> (*)(Decoder& from);

/// Index of the callable itself where an argument's index is asked for.
inline constexpr std::size_t callable_index = static_cast<std::size_t>(-1);

/// CannotTravel that names the argument (counted from 1), or the callable, its type, and `reason`
/// (null: the type can't be sent).
[[noreturn]] void throw_argument_cannot_travel(std::size_t index, const std::type_info& type,
                                               const char* reason);
[[noreturn]] void throw_result_cannot_travel(const std::type_info& type,
                                             const char* reason = nullptr);

/// Throws CannotTravel for a view with gaps of a file that is mapped for writing. It is sent
/// without the gaps, as a copy.
template <class T>
void check_writes_arrive(const T&) {}
template <class T>
  requires(!std::is_const_v<T>)
void check_writes_arrive(const Array<T>& array) {
  if (array.order() == Order::strided && array.storage() != nullptr &&
      array.storage()->passing() == Storage::Passing::written) {
    throw CannotTravel(
        "it is a strided view of a file mapped read_write, which a task would get as a copy: pass "
        "the whole array, or a view of whole rows, and where to write");
  }
}

/// Calls `send`; an error of it then names the argument, or the callable, and its type.
template <class T, class Send>
void send_named(const T& value, std::size_t index, const Send& send) {
  if constexpr (transfer_method_of<T>() == TransferMethod::never) {
    throw_argument_cannot_travel(index, typeid(T), nullptr);
  } else {
    try {
      check_writes_arrive(value);
      send();
    } catch (const CannotTravel& error) {
      throw_argument_cannot_travel(index, typeid(T), error.what());
    } catch (const BadArgument& error) {
      throw_argument_cannot_travel(index, typeid(T), error.what());
    }
  }
}

template <class F>
void send_callable(Encoder& encoder, const F& callable) {
  send_named(callable, callable_index, [&] { send<F>(encoder, callable); });
}

/// Writes arguments; `F` and `Args` decayed types.
template <class... Args>
void send_arguments(Encoder& encoder, const Args&... args) {
  [[maybe_unused]] std::size_t index = 0;
  (send_named(args, index++, [&] { send_as_argument<Args>(encoder, args); }), ...);
}

template <class F, class... Args>
void send_call(Encoder& encoder, const F& callable, const Args&... args) {
  send_callable<F>(encoder, callable);
  send_arguments<Args...>(encoder, args...);
}

/// Received values in the order of their types, which is the order of decoding.
template <class... Ts>
struct ReceivedAll {
  explicit ReceivedAll(Decoder&) {}
  template <class F, class... Before>
  decltype(auto) call(F&& f, Before&... before) {
    return std::forward<F>(f)(before...);
  }
};
template <class T, class... Rest>
struct ReceivedAll<T, Rest...> {
  explicit ReceivedAll(Decoder& decoder) : first(decoder), rest(decoder) {}
  template <class F, class... Before>
  decltype(auto) call(F&& f, Before&... before) {
    return rest.call(std::forward<F>(f), before..., first);
  }
  ReceivedArgument<T> first;
  ReceivedAll<Rest...> rest;
};

/// Calls f in the worker. Nobody needs the arguments afterwards: they are rvalues where f takes
/// those.
template <class F, class... Args>
decltype(auto) invoke_received(F& f, ReceivedArgument<Args>&... args) {
  if constexpr (std::is_invocable_v<F&, Args...>) {
    return [&]<std::size_t... I>(std::index_sequence<I...>) -> decltype(auto) {
      return std::invoke(f, pass<F, I, Args>(args)...);
    }(std::index_sequence_for<Args...>{});
  } else {
    // Views, which get() makes, are lvalues here as well.
    std::tuple<decltype(args.get())...> values(args.get()...);
    return std::apply(
        [&](auto&... lvalues) -> decltype(auto) { return std::invoke(f, lvalues...); }, values);
  }
}

template <class F, class... Args>
inline constexpr bool takes_received =
    std::disjunction_v<std::is_invocable<F&, Args...>, std::is_invocable<F&, Args&...>>;

template <class F, class... Args>
constexpr auto call_result() {
  if constexpr (std::is_invocable_v<F&, Args...>) {
    return std::type_identity<std::decay_t<std::invoke_result_t<F&, Args...>>>{};
  } else if constexpr (std::is_invocable_v<F&, Args&...>) {
    return std::type_identity<std::decay_t<std::invoke_result_t<F&, Args&...>>>{};
  } else {
    return std::type_identity<std::decay_t<std::invoke_result_t<const F&, const Args&...>>>{};
  }
}

/// The (decayed) result of a call made from another process.
template <class F, class... Args>
using TaskResult = typename decltype(call_result<F, Args...>())::type;

/// Views of what the worker keeps can't be results.
template <class R>
inline constexpr bool result_travels =
    std::is_void_v<R> || transfer_method_of<R>() == TransferMethod::nothing ||
    transfer_method_of<R>() == TransferMethod::storable ||
    transfer_method_of<R>() == TransferMethod::handle ||
    transfer_method_of<R>() == TransferMethod::code ||
    transfer_method_of<R>() == TransferMethod::raw;

template <class R>
void send_result(Encoder& encoder, const R& value) {
  try {
    send<R>(encoder, value);
  } catch (const BadArgument& error) {
    throw_result_cannot_travel(typeid(R), error.what());
  }
}

/// `R` is the result's type, or another to which the result is converted.
template <class R, class F, class... Args>
void run_as(F& callable, Decoder& from, Reply& reply) {
  ReceivedAll<Args...> args(from);
  from.finish();
  args.call([&](ReceivedArgument<Args>&... received) {
    if constexpr (std::is_void_v<R>) {
      invoke_received<F, Args...>(callable, received...);
      reply.finish();
    } else if constexpr (!std::is_same_v<R, TaskResult<F, Args...>>) {
      const R value = static_cast<R>(invoke_received<F, Args...>(callable, received...));
      send_result<R>(reply.encoder(), value);
      reply.finish();
    } else if constexpr (result_travels<R>) {
      const R& value = invoke_received<F, Args...>(callable, received...);
      send_result<R>(reply.encoder(), value);
      reply.finish();
    }
  });
}

template <class F, class... Args>
void run_with(F& callable, Decoder& from, Reply& reply) {
  run_as<TaskResult<F, Args...>, F, Args...>(callable, from, reply);
}

template <class F, class... Args>
void run_call(void*, Decoder& from, Reply& reply) {
  Received<F> callable(from);
  run_with<std::remove_reference_t<decltype(callable.get())>, Args...>(
      static_cast<std::remove_reference_t<decltype(callable.get())>&>(callable.get()), from, reply);
}

template <class F>
std::shared_ptr<void> open_callable(Decoder& from) {
  return std::make_shared<Received<F>>(from);
}

template <class R, class F, class... Args>
void run_item_as(void* callable, Decoder& from, Reply& reply) {
  // As where many threads share it.
  const F& shared = static_cast<Received<F>*>(callable)->get();
  run_as<R, const F, Args...>(shared, from, reply);
}
template <class F, class... Args>
void run_item(void* callable, Decoder& from, Reply& reply) {
  run_item_as<TaskResult<const F, Args...>, F, Args...>(callable, from, reply);
}

/// Reads what run_call or run_item wrote. `R` as TaskResult gives it.
template <class R>
R receive_result(Decoder& from) {
  if constexpr (!std::is_void_v<R>) {
    if constexpr (result_travels<R>) {
      Received<R> received(from);
      from.finish();
      return std::move(received.get());
    } else {
      throw_result_cannot_travel(typeid(R));
    }
  }
}

/// Throws CannotTravel for what the types alone forbid, before anything is sent. `F` is const for a
/// callable that is called as such.
template <class F, class... Args>
void check_travels() {
  if constexpr (transfer_method_of<std::remove_const_t<F>>() == TransferMethod::never) {
    throw_argument_cannot_travel(callable_index, typeid(F), nullptr);
  }
  [[maybe_unused]] std::size_t index = 0;
  [[maybe_unused]] const auto check = [&]<class T>(std::type_identity<T>) {
    if constexpr (transfer_method_of<T>() == TransferMethod::never) {
      throw_argument_cannot_travel(index, typeid(T), nullptr);
    }
    ++index;
  };
  (check(std::type_identity<Args>{}), ...);
  using R = TaskResult<F, Args...>;
  if constexpr (!result_travels<R>) throw_result_cannot_travel(typeid(R));
}

}  // namespace hoist::detail
