// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstring>
#include <type_traits>
#include <utility>

// The bytes of an object without those that belong to none of its members: equal objects have equal
// ones. For lambdas, whose members can't be named.

namespace hoist::detail {

template <class T>
using ObjectBytes = std::array<std::byte, sizeof(T)>;

#if !defined(__GNUC__) || defined(__clang__)
/// Clang has nothing that clears padding, but refuses to read it at compile time.
template <class T, std::size_t i>
concept IsMemberByte = requires {
  std::bool_constant<(std::bit_cast<ObjectBytes<T>>(std::bit_cast<T>(ObjectBytes<T>{}))[i] ==
                      std::byte{})>{};
};
/// False where members are pointers or references: then nothing can be told.
template <class T>
concept IsReadable = requires {
  std::bool_constant<(static_cast<void>(std::bit_cast<T>(ObjectBytes<T>{})), true)>{};
};
#endif

template <class T>
  requires std::is_trivially_copyable_v<T>
ObjectBytes<T> member_bytes(const T& object) {
  alignas(T) ObjectBytes<T> bytes;
  std::memcpy(bytes.data(), &object, sizeof object);
#if defined(__GNUC__) && !defined(__clang__)
  __builtin_clear_padding(reinterpret_cast<T*>(bytes.data()));
#else
  if constexpr (IsReadable<T>) {
    [&]<std::size_t... i>(std::index_sequence<i...>) {
      ((IsMemberByte<T, i> ? void() : void(bytes[i] = std::byte{})), ...);
    }(std::make_index_sequence<sizeof(T)>());
  }
#endif
  return bytes;
}

}  // namespace hoist::detail
