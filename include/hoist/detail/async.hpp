// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace hoist::detail {

/// Stands for boost::asio::use_awaitable.
struct DefaultToken {};

/// The functions behind async_get() and the like; hoist/asio.hpp defines it.
template <class Token>
struct Async;
struct NoAsync {
  static void get(auto&&...) {}
  static void put(auto&&...) {}
  static void recv(auto&&...) {}
  static void wait(auto&&...) {}
  static void join(auto&&...) {}
};

template <class Token>
constexpr auto async() {
  constexpr bool included = requires { sizeof(Async<Token>); };
  static_assert(included, "hoist: functions async_...() need #include <hoist/asio.hpp>");
  if constexpr (included) {
    return Async<Token>();
  } else {
    return NoAsync();
  }
}

}  // namespace hoist::detail
