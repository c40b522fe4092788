// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <bit>
#include <cstdint>
#include <functional>
#include <type_traits>
#include <typeinfo>
#include <utility>

// What hoist has to know of a callable: its declared signature, the address of its code.

namespace hoist::detail {

template <class F>
struct SignatureOf {};

template <class R, class... Ps>
struct SignatureOf<R (*)(Ps...)> {
  using type = R(Ps...);
};
template <class R, class... Ps>
struct SignatureOf<R (*)(Ps...) noexcept> {
  using type = R(Ps...);
};

template <class M>
struct MemberSignature {
  static constexpr bool is_const = false;
};
template <class C, class R, class... Ps>
struct MemberSignature<R (C::*)(Ps...)> {
  static constexpr bool is_const = false;
  using type = R(Ps...);
};
template <class C, class R, class... Ps>
struct MemberSignature<R (C::*)(Ps...) noexcept> : MemberSignature<R (C::*)(Ps...)> {};
template <class C, class R, class... Ps>
struct MemberSignature<R (C::*)(Ps...) const> {
  static constexpr bool is_const = true;
  using type = R(Ps...);
  using WithObject = R(const C&, Ps...);
};
template <class C, class R, class... Ps>
struct MemberSignature<R (C::*)(Ps...) const noexcept> : MemberSignature<R (C::*)(Ps...) const> {};

/// One call operator, no template, const: what another one changes would be lost.
template <class F>
concept HasCallOperator =
    requires { requires MemberSignature<decltype(&F::operator())>::is_const; };

template <class F>
  requires HasCallOperator<F>
struct SignatureOf<F> {
  using type = typename MemberSignature<decltype(&F::operator())>::type;
};
template <class F>
  requires(std::is_member_function_pointer_v<F> && MemberSignature<F>::is_const)
struct SignatureOf<F> {
  using type = typename MemberSignature<F>::WithObject;
};

/// A function known at compile time, as a callable object.
template <auto f>
struct FixedFunction {
  static constexpr auto target = f;
};
template <auto f>
struct SignatureOf<FixedFunction<f>> : SignatureOf<std::decay_t<decltype(f)>> {};

template <class F>
concept HasSignature = requires { typename SignatureOf<F>::type; };

/// The code behind a member function pointer (Itanium C++ ABI); null for virtual functions, whose
/// code depends on the object.
template <class M>
const void* member_code(M member) {
  struct Raw {
    std::uintptr_t code;
    std::ptrdiff_t adjust;
  };
  const auto raw = std::bit_cast<Raw>(member);
  return (raw.code & 1) != 0 ? nullptr : reinterpret_cast<const void*>(raw.code);
}

template <class F>
const void* code_of(const F& f) {
  if constexpr (std::is_pointer_v<F>) {
    return reinterpret_cast<const void*>(f);
  } else if constexpr (std::is_member_function_pointer_v<F>) {
    return member_code(f);
  } else {
    return member_code(&F::operator());
  }
}
template <auto f>
const void* code_of(const FixedFunction<f>&) {
  return code_of(f);
}

/// The code of a function object's only call operator; null for all else.
template <class F>
const void* call_operator_of() {
  if constexpr (requires { member_code(&F::operator()); }) {
    return member_code(&F::operator());
  } else {
    return nullptr;
  }
}

template <class F, class... Args>
decltype(auto) call(const F& f, Args&&... args) {
  return std::invoke(f, std::forward<Args>(args)...);
}
template <auto f, class... Args>
decltype(auto) call(const FixedFunction<f>&, Args&&... args) {
  return std::invoke(f, std::forward<Args>(args)...);
}

}  // namespace hoist::detail
