// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

// The members of an aggregate by structured bindings, which need the number of members as a number
// of names: one function per number.

namespace hoist::detail {

inline constexpr std::size_t max_members = 100;

template <std::size_t I, class T>
struct MemberRef {
  T& to;
};
template <class Indices, class... Ts>
struct MemberRefs;
template <std::size_t... I, class... Ts>
struct MemberRefs<std::index_sequence<I...>, Ts...> : MemberRef<I, Ts>... {
  static constexpr bool all = true;
};
/// Of an object with bit-fields, to which nothing can refer.
struct NoMemberRefs {
  static constexpr bool all = false;
};

template <class... Ts>
constexpr auto refer_to(Ts&... members) {
  return MemberRefs<std::index_sequence_for<Ts...>, Ts...>{{members}...};
}
template <std::size_t I, class T>
constexpr T& nth(const MemberRef<I, T>& member) {
  return member.to;
}

template <std::size_t n>
using Count = std::integral_constant<std::size_t, n>;

template <class T>
constexpr auto bind_members(T&, Count<0>) {
  return refer_to();
}
#define HOIST_BIND(n, ...)                               \
  template <class T>                                     \
  constexpr auto bind_members(T& object, Count<n>) {     \
    auto& [__VA_ARGS__] = object;                        \
    if constexpr (requires { refer_to(__VA_ARGS__); }) { \
      return refer_to(__VA_ARGS__);                      \
    } else {                                             \
      return NoMemberRefs{};                             \
    }                                                    \
  }
#define HOIST_TEN(x) x##0, x##1, x##2, x##3, x##4, x##5, x##6, x##7, x##8, x##9,
#define HOIST_BIND_TEN(n, x, ...)                                                     \
  HOIST_BIND(n + 1, __VA_ARGS__ x##0)                                                 \
  HOIST_BIND(n + 2, __VA_ARGS__ x##0, x##1)                                           \
  HOIST_BIND(n + 3, __VA_ARGS__ x##0, x##1, x##2)                                     \
  HOIST_BIND(n + 4, __VA_ARGS__ x##0, x##1, x##2, x##3)                               \
  HOIST_BIND(n + 5, __VA_ARGS__ x##0, x##1, x##2, x##3, x##4)                         \
  HOIST_BIND(n + 6, __VA_ARGS__ x##0, x##1, x##2, x##3, x##4, x##5)                   \
  HOIST_BIND(n + 7, __VA_ARGS__ x##0, x##1, x##2, x##3, x##4, x##5, x##6)             \
  HOIST_BIND(n + 8, __VA_ARGS__ x##0, x##1, x##2, x##3, x##4, x##5, x##6, x##7)       \
  HOIST_BIND(n + 9, __VA_ARGS__ x##0, x##1, x##2, x##3, x##4, x##5, x##6, x##7, x##8) \
  HOIST_BIND(n + 10, __VA_ARGS__ x##0, x##1, x##2, x##3, x##4, x##5, x##6, x##7, x##8, x##9)

#define HOIST_20 HOIST_TEN(a) HOIST_TEN(b)
#define HOIST_40 HOIST_20 HOIST_TEN(c) HOIST_TEN(d)
#define HOIST_60 HOIST_40 HOIST_TEN(e) HOIST_TEN(f)
#define HOIST_80 HOIST_60 HOIST_TEN(g) HOIST_TEN(h)
HOIST_BIND_TEN(0, a)
HOIST_BIND_TEN(10, b, HOIST_TEN(a))
HOIST_BIND_TEN(20, c, HOIST_20)
HOIST_BIND_TEN(30, d, HOIST_20 HOIST_TEN(c))
HOIST_BIND_TEN(40, e, HOIST_40)
HOIST_BIND_TEN(50, f, HOIST_40 HOIST_TEN(e))
HOIST_BIND_TEN(60, g, HOIST_60)
HOIST_BIND_TEN(70, h, HOIST_60 HOIST_TEN(g))
HOIST_BIND_TEN(80, i, HOIST_80)
HOIST_BIND_TEN(90, j, HOIST_80 HOIST_TEN(i))
#undef HOIST_BIND
#undef HOIST_TEN
#undef HOIST_BIND_TEN
#undef HOIST_20
#undef HOIST_40
#undef HOIST_60
#undef HOIST_80

}  // namespace hoist::detail
