// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/array.hpp>
#include <hoist/detail/forms.hpp>
#include <hoist/detail/forms_std.hpp>

namespace hoist::detail {

/// Elements that an Array in a file may have: types whose bytes are their value. Padding and bool
/// are allowed here: an array is written as it is in memory, and its schema implies the layout, so
/// packed and over-aligned structs are excluded.
template <class T>
constexpr bool is_array_element() {
  if constexpr (std::is_same_v<T, bool> || is_block<T>()) {
    return true;
  } else if constexpr (Aggregate<T> && std::is_trivially_copyable_v<T> && !UserSerialize<T>) {
    return []<std::size_t... I>(std::index_sequence<I...>) {
      return sizeof...(I) > 0 && (is_array_element<field_type<T, I>>() && ...) &&
             BlockTraits<T>::natural.size == sizeof(T) &&
             BlockTraits<T>::natural.align <= alignof(T);
    }(std::make_index_sequence<field_count<T>>());
  } else {
    return false;
  }
}

/// More axes than any file has: what is written with them could not be read.
inline constexpr std::size_t max_axes = 64;

/// Shape and order, as they are in the meta stream.
template <class Ar>
void traverse_extents(Ar& ar, Shape& shape, Order& order) {
  if constexpr (Ar::decoding) {
    const std::size_t ndim = ar.length();
    if (ndim > max_axes) Decoder::throw_damaged();
    shape.assign(ndim, 0);
    for (auto& extent : shape) extent = ar.length();
    unsigned char byte = 0;
    ar.scalar(byte);
    if (byte > 1) Decoder::throw_damaged();
    order = byte == 1 ? Order::fortran : Order::c;
  } else {
    if (!Ar::hashing && shape.size() > max_axes) {
      throw BadArgument("an array of " + std::to_string(shape.size()) +
                        " dimensions can't be stored or sent: at most 64 can");
    }
    ar.length(shape.size());
    for (std::size_t extent : shape) ar.length(extent);
    ar.scalar(static_cast<unsigned char>(order == Order::fortran));
  }
}

/// Elements in C or Fortran order, encoded like an Array's. If `owner` is null they are borrowed
/// from the value.
template <class Ar, class T>
void traverse_elements(Ar& ar, const T* data, Shape shape, Order order,
                       const std::shared_ptr<Storage>& owner) {
  const std::size_t n = checked_elements(shape, sizeof(T));
  traverse_extents(ar, shape, order);
  if constexpr (!Ar::hashing) {
    ar.array_block(data, n, owner);
  } else if constexpr (is_block<T>() || std::is_same_v<T, bool>) {
    ar.block(data, n);
  } else {
    for (std::size_t i = 0; i < n; ++i) Form<T>::traverse(ar, data[i]);
  }
}

/// Throws DamagedData for a bool that is neither 0 nor 1.
void check_bools(const std::byte* data, std::size_t n);

template <class E>
struct Form<Array<E>> {
  using T = std::remove_const_t<E>;
  template <class... Open>
  static constexpr bool supported() {
    return is_array_element<T>();
  }

  static void schema(SchemaWriter& writer) {
    static_assert(is_array_element<T>(),
                  "arrays in files, keys and messages hold numbers, bools, enums, std::complex, "
                  "std::array or plain structs of these");
    describe<T>(writer, "array<", ">");
  }

  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    if constexpr (Ar::decoding) {
      Shape shape;
      Order order{};
      traverse_extents(ar, shape, order);
      std::size_t n = 0;
      try {
        n = checked_elements(shape, sizeof(T));
      } catch (const BadArgument&) {
        Decoder::throw_damaged();
      }
      std::shared_ptr<Storage> storage;
      if (n > 0) storage = ar.array_block(n * sizeof(T), !std::is_const_v<E>);
      T* data = storage ? reinterpret_cast<T*>(storage->data()) : nullptr;
      if constexpr (std::is_same_v<T, bool>) {
        check_bools(reinterpret_cast<const std::byte*>(data), n);
      }
      value = Array<E>(std::move(storage), data, std::move(shape), order);
    } else {
      const Order order = value.order();
      if (order == Order::strided) {
        const Array<T> dense = value.copy();
        traverse(ar, dense);
        return;
      }
      traverse_elements(ar, static_cast<const T*>(value.data()), value.shape(), order,
                        value.storage());
    }
  }
};

}  // namespace hoist::detail
