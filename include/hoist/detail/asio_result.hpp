// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/async.hpp>
#include <hoist/detail/loop_results.hpp>

#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

// How operations of Asio are begun, and complete.

namespace hoist::detail {

namespace asio = boost::asio;

/// How handlers get results: those without a default, which would be needed beside an error, as an
/// optional.
template <class R>
using Passed =
    std::conditional_t<std::is_default_constructible_v<Kept<R>>, Kept<R>, std::optional<Kept<R>>>;
template <class R>
struct SignatureFor {
  using type = void(std::exception_ptr, Passed<R>);
};
template <>
struct SignatureFor<void> {
  using type = void(std::exception_ptr);
};

template <class R, class Handler>
void call_with(Handler handler, std::exception_ptr error, std::optional<Kept<R>> value) {
  if constexpr (std::is_void_v<R>) {
    std::move(handler)(std::move(error));
  } else if (error) {
    std::move(handler)(std::move(error), Passed<R>());
  } else {
    // R may be made from anything, also from an optional of itself.
    // NOLINTNEXTLINE(bugprone-optional-value-conversion)
    std::move(handler)(std::exception_ptr(), Passed<R>(*std::move(value)));
  }
}

template <class Token>
inline constexpr bool is_use_awaitable = false;
template <class Executor>
inline constexpr bool is_use_awaitable<asio::use_awaitable_t<Executor>> = true;

template <class R, class Executor>
asio::awaitable<R, Executor> unwrap(asio::awaitable<std::optional<R>, Executor> wrapped) {
  std::optional<R> value = co_await std::move(wrapped);
  co_return *std::move(value);
}

/// Initiates an operation with result R.
template <class R, class Token, class Initiation, class... Args>
auto initiate(Initiation initiation, Token&& token, Args&&... args) {
  if constexpr (std::is_same_v<std::remove_cvref_t<Token>, DefaultToken>) {
    return initiate<R>(std::move(initiation), asio::use_awaitable, std::forward<Args>(args)...);
  } else {
    using Signature = typename SignatureFor<R>::type;
    const auto start = [&]() -> decltype(auto) {
      return asio::async_initiate<Token, Signature>(std::move(initiation), token,
                                                    std::forward<Args>(args)...);
    };
    if constexpr (is_use_awaitable<std::remove_cvref_t<Token>> &&
                  !std::is_same_v<Passed<R>, Kept<R>>) {
      return unwrap(start());
    } else {
      return start();
    }
  }
}

}  // namespace hoist::detail
