// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/detail/form_array.hpp>
#include <hoist/detail/forms.hpp>
#include <hoist/detail/forms_std.hpp>

#include <cstddef>
#include <memory>
#include <span>
#include <type_traits>
#include <vector>

namespace hoist {

/// Types that hoist can hash, store and send to other processes:
///
/// - arithmetic types and `__int128`, enums, std::complex, std::string (any character type),
///   filesystem::path, chrono durations, time points and dates (year_month_day, year, month, day,
///   weekday);
/// - error_code and error_condition of the standard library's categories (others throw
///   CannotTravel), mt19937, mt19937_64 and linear congruential engines, which go on with the same
///   sequence;
/// - pair, tuple, optional, variant, expected, bitset, every standard container and container
///   adaptor, unique_ptr, shared_ptr and weak_ptr (sharing and cycles are preserved), Array;
/// - aggregates of these, without any code (member names are part of the schema);
/// - any other default-constructible class with `template <class Ar> void serialize(Ar& ar) {
///   ar(first, second); }` (which may be private if hoist::Access is a friend), or a free function
///   `template <class Ar> void serialize(Ar& ar, T& value)` beside the class. It is called in both
///   directions (`Ar::decoding` says in which) and must always visit the same members.
///
/// Objects of derived classes behind pointers to their base: see hoist/polymorphic.hpp. False for
/// all other types, and for containers of them.
///
/// One traversal encodes, decodes, hashes and describes a type, so these operations can't disagree.
/// Objects nest at most 1000 deep.
template <class T>
concept Storable = detail::supported<std::remove_cvref_t<T>>();

namespace detail {

template <class T>
void hash_schema(Hasher& hasher) {
  hasher.scalar(schema_of<T>().digest.low);
  hasher.scalar(schema_of<T>().digest.high);
}

template <class T>
void hash_typed(Hasher& hasher, const T& value) {
  static_assert(sizeof(StorableCheck<T>) > 0);
  hash_schema<T>(hasher);
  Form<T>::traverse(hasher, value);
}
/// Objects of an abstract class are always of a derived one.
template <class T>
  requires std::is_abstract_v<T>
void hash_typed(Hasher& hasher, const T& value) {
  hash_schema<std::unique_ptr<T>>(hasher);
  ObjectForm<T>::hash(hasher, value);
}

/// Contiguous elements hash as the std::vector that holds them does.
template <class T, std::size_t N>
void hash_typed(Hasher& hasher, const std::span<T, N>& values) {
  using Element = std::remove_const_t<T>;
  hash_schema<std::vector<Element>>(hasher);
  ContiguousForm<std::span<T, N>, Element>::traverse(hasher, values);
}

template <class T>
Encoded encode(const T& value) {
  Encoder encoder;
  Form<T>::traverse(encoder, value);
  return encoder.take();
}

template <class T>
void decode(DecodeSource& source, T& value) {
  Decoder decoder(source);
  Form<T>::traverse(decoder, value);
  decoder.finish();
}

}  // namespace detail
}  // namespace hoist
