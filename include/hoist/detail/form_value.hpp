// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/decoder.hpp>
#include <hoist/detail/encoder.hpp>
#include <hoist/detail/hasher.hpp>
#include <hoist/value.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

namespace hoist {

namespace detail {

void encode_value(Encoder& encoder, const Value& value);
void decode_value(Decoder& decoder, Value& value);
void hash_value(Hasher& hasher, const Value& value);
Value value_from_encoded(const std::string& schema, std::shared_ptr<const Encoded> encoded);
void decode_from_value(const Value& value, const std::string& schema, void* to,
                       void (*run)(void* to, DecodeSource& source));
/// The storage of the elements. Throws WrongType if they are of another type, or if `writable` is
/// set and the storage is read-only.
std::shared_ptr<Storage> check_elements(const Value::Elements& elements, const DType& dtype,
                                        bool writable);

template <>
struct Form<Value> {
  template <class... Open>
  static constexpr bool supported() {
    return true;
  }
  static void schema(SchemaWriter& writer) { writer.text("value"); }
  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    if constexpr (Ar::hashing) {
      hash_value(ar, value);
    } else if constexpr (Ar::decoding) {
      decode_value(ar, value);
    } else {
      encode_value(ar, value);
    }
  }
};

}  // namespace detail

template <class T>
Value::Value(const Array<T>& array) {
  const Array<T> dense = array.is_contiguous() ? array : Array<T>(array.copy());
  *this = Value(Elements{DType::of<std::remove_const_t<T>>(), dense.shape(), dense.order(),
                         dense.storage(), reinterpret_cast<const std::byte*>(dense.data())});
}

template <Storable T>
Value Value::from(const T& value) {
  return detail::value_from_encoded(detail::schema_of<T>().text,
                                    std::make_shared<const detail::Encoded>(detail::encode(value)));
}

template <class T>
Array<T> Value::as_array() const {
  const Elements& from = elements();
  auto storage =
      detail::check_elements(from, DType::of<std::remove_const_t<T>>(), !std::is_const_v<T>);
  auto* data = reinterpret_cast<std::remove_const_t<T>*>(const_cast<std::byte*>(from.data));
  return Array<T>(std::move(storage), data, from.shape, from.order);
}

template <Storable T>
T Value::to() const {
  T result{};
  detail::decode_from_value(
      *this, detail::schema_of<T>().text, &result,
      [](void* to, detail::DecodeSource& source) { detail::decode(source, *static_cast<T*>(to)); });
  return result;
}

}  // namespace hoist
