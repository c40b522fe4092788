// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/plain_members.hpp>

#include <array>
#include <cstddef>
#include <string_view>
#include <utility>

namespace hoist::detail {

/// A member's name is extracted from the compiler's text of a pointer to it. The object is declared
/// but never defined: only the addresses of its members are used, as constants.
template <class T>
struct Unmade {
  T object;
};
#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wundefined-var-template"
#pragma clang diagnostic ignored "-Wundefined-internal"
#endif
template <class T>
extern const Unmade<T> unmade;

template <auto Pointer>
constexpr std::string_view rendered() {
  return __PRETTY_FUNCTION__;
}

template <class T, std::size_t I>
constexpr std::string_view field_name() {
  // g++: "... [with auto Pointer = (& unmade<T>.Unmade<T>::object.T::name); ..."
  // clang: "... [Pointer = &unmade<T>.object.name]"
  std::string_view text = rendered<&nth<I>(bind_members(unmade<T>.object, MemberCount<T>{}))>();
#if defined(__clang__)
  text = text.substr(0, text.rfind(']'));
#else
  text = text.substr(0, text.rfind("); std::string_view"));
#endif
  return text.substr(text.find_last_of(".:&") + 1);
}
#if defined(__clang__)
#pragma clang diagnostic pop
#endif

template <class T, std::size_t... I>
constexpr std::array<std::string_view, sizeof...(I)> names_of_fields(std::index_sequence<I...>) {
  return {field_name<T, I>()...};
}

}  // namespace hoist::detail
