// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/shape.hpp>

#include <cstddef>
#include <iosfwd>
#include <type_traits>

namespace hoist::detail {

/// What is written of an element: numbers instead of the characters of small integers, and of
/// enumerators without a text of their own.
template <class T>
decltype(auto) written(std::ostream& to, const T& element) {
  if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
    return +element;
  } else if constexpr (std::is_enum_v<T> && !requires { to << element; }) {
    return +static_cast<std::underlying_type_t<T>>(element);
  } else {
    return (element);
  }
}

template <class T>
concept WritableElement =
    requires(std::ostream& to, const T& element) { to << written(to, element); };

/// Writes `elements[at]`.
using WriteElement = void (*)(std::ostream& to, const void* elements, std::ptrdiff_t at);
template <class T>
void write_element(std::ostream& to, const void* elements, std::ptrdiff_t at) {
  to << written(to, static_cast<const T*>(elements)[at]);
}

std::ostream& write_array(std::ostream& to, const Shape& shape, const Strides& strides,
                          const void* elements, WriteElement write);

}  // namespace hoist::detail
