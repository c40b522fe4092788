// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/call_frame.hpp>
#include <hoist/detail/callable.hpp>
#include <hoist/detail/memo.hpp>
#include <hoist/values.hpp>

#include <functional>
#include <type_traits>
#include <variant>

// What the compiler says of a callable that can't be cached.

namespace hoist::detail {

template <class F>
inline constexpr bool is_std_function = false;
template <class S>
inline constexpr bool is_std_function<std::function<S>> = true;

/// A function's result, which is stored. The name is part of what the compiler prints.
template <class R>
struct ResultOfCachedFunction {
  static constexpr bool moves = std::is_move_constructible_v<R>;
  static constexpr bool has_default = std::is_default_constructible_v<R>;
  static constexpr bool ok = supported<R>() && moves && has_default;
  static_assert(sizeof(StorableCheck<R>) > 0);
  static_assert(!supported<R>() || moves,
                "a cached result is handed over by moving it, but this type can't be moved: return "
                "a std::unique_ptr to it");
  static_assert(!supported<R>() || has_default,
                "hoist makes an empty result and fills it: the result type needs a default "
                "constructor");
};

/// What a function's result is in the end: of a coroutine, what it returns when it is awaited
/// (asio_cached.hpp).
template <class R>
struct Awaited {
  using type = R;
  static constexpr bool is_awaitable = false;
};

template <class Signature>
struct ReturnedBy {
  using type = std::monostate;
  static constexpr bool is_awaitable = false;
};
template <class R, class... Ps>
struct ReturnedBy<R(Ps...)> {
  using type = Shelvable<std::remove_cvref_t<typename Awaited<R>::type>>;
  static constexpr bool is_awaitable = Awaited<R>::is_awaitable;
};
template <class F>
  requires HasSignature<F>
struct ReturnedBy<F> : ReturnedBy<typename SignatureOf<F>::type> {};
template <class F>
using CacheableResult = ResultOfCachedFunction<typename ReturnedBy<F>::type>;

/// Takes the place of a cached function that has been refused, so that the compiler's first error
/// is its last.
struct RefusedFunction {
  template <class... Args>
  RefusedFunction operator()(Args&&...) const;
  template <class T>
  operator T() const;  // NOLINT(google-explicit-constructor)
};

template <class F>
struct Cacheable {
  static constexpr bool is_function = std::is_class_v<F> || std::is_member_pointer_v<F> ||
                                      std::is_function_v<std::remove_pointer_t<F>>;
  static constexpr bool has_signature = HasSignature<F>;
  static constexpr bool has_key = is_keyable<F>;
  static constexpr bool ok = is_function && has_signature && has_key;

  static_assert(is_function, "cache(f): f is the function itself, not the result of calling it");
  static_assert(!std::is_member_function_pointer_v<F> || has_signature,
                "hoist caches const member functions only: what others change in their object "
                "would be lost on a hit; make it const, or cache a function that takes the "
                "object: pass it as an argument, and return what has changed");
  static_assert(!is_function || std::is_member_function_pointer_v<F> || has_signature,
                "hoist can't tell this callable's parameter types: it needs one call operator, "
                "const and no template; wrap overloads and generic lambdas in a lambda that names "
                "its parameter types");
  static_assert(!is_std_function<F>,
                "hoist can't tell which function a std::function holds: cache the function or the "
                "lambda itself");
  static_assert(!has_signature || has_key || is_std_function<F>,
                "hoist can't make a key of what this callable holds: capture only plain numbers; a "
                "string, a container, whatever a pointer or a reference leads to: pass it as an "
                "argument (function objects: give the class hoist-storable public fields or a "
                "serialize member)");
};

}  // namespace hoist::detail
