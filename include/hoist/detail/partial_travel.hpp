// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/task.hpp>

#include <optional>
#include <tuple>
#include <type_traits>

// How the parts of a Partial (hoist/partial.hpp) go to another process.

namespace hoist {

template <class F, class... Bound>
class Partial;

namespace detail {

template <class F, class... Bound>
struct PartsOf<Partial<F, Bound...>> {
  static constexpr bool is = true;
  /// What is written to a copy of a referred object would be lost.
  static constexpr bool travel =
      travels<F> && ((travels<Bound> && !refers_to_mutable<Bound>) && ...);

  static void send(Encoder& encoder, const Partial<F, Bound...>& partial) {
    detail::send<F>(encoder, partial.function());
    std::apply([&](const Bound&... bound) { (send_as_argument<Bound>(encoder, bound), ...); },
               partial.bound());
  }
};

template <class F, class... Bound>
class Received<Partial<F, Bound...>, TransferMethod::parts> {
 public:
  explicit Received(Decoder& decoder) : f_(decoder), bound_(decoder) {
    bound_.call([this](ReceivedArgument<Bound>&... bound) {
      value_.emplace(take<F>(f_), std::tuple<Bound...>(take<Bound>(bound)...));
    });
  }
  Partial<F, Bound...>& get() { return *value_; }

 private:
  /// The value, or a view of what is kept here.
  template <class T, class From>
  static T take(From& from) {
    return static_cast<std::conditional_t<std::is_reference_v<decltype(from.get())>, T&&, T>>(
        from.get());
  }

  Received<F> f_;
  ReceivedAll<Bound...> bound_;
  std::optional<Partial<F, Bound...>> value_;
};

}  // namespace detail

}  // namespace hoist
