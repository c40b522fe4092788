// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/forms.hpp>
#include <hoist/detail/forms_sequences.hpp>

#include <cstddef>
#include <map>
#include <set>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace hoist::detail {

/// Sets and maps; `E` is the element with a non-const key.
template <class C, class E, bool ordered>
struct AssociativeForm : FormOf<E> {
  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    if constexpr (Ar::decoding) {
      value.clear();
      for (std::size_t n = ar.length(takes_no_bytes<E>); n > 0; --n) {
        E element{};
        Form<E>::traverse(ar, element);
        value.insert(value.end(), std::move(element));
      }
    } else if constexpr (Ar::hashing && !ordered) {
      ar.length(value.size());
      ar.unordered(value, [](Ar& one, const auto& element) {
        Form<std::remove_cvref_t<decltype(element)>>::traverse(one, element);
      });
    } else {
      ar.length(value.size());
      for (const auto& element : value) {
        Form<std::remove_cvref_t<decltype(element)>>::traverse(ar, element);
      }
    }
  }
};

template <class C, bool ordered>
struct SetForm : AssociativeForm<C, typename C::value_type, ordered> {
  static void schema(SchemaWriter& writer) { describe<typename C::key_type>(writer, "{", "}"); }
};
template <class C, bool ordered>
struct MapForm
    : AssociativeForm<C, std::pair<typename C::key_type, typename C::mapped_type>, ordered> {
  static void schema(SchemaWriter& writer) {
    describe<typename C::key_type>(writer, "{", ":");
    describe<typename C::mapped_type>(writer, "", "}");
  }
};
template <class K, class L, class A>
struct Form<std::set<K, L, A>> : SetForm<std::set<K, L, A>, true> {};
template <class K, class L, class A>
struct Form<std::multiset<K, L, A>> : SetForm<std::multiset<K, L, A>, true> {};
template <class K, class H, class E, class A>
struct Form<std::unordered_set<K, H, E, A>> : SetForm<std::unordered_set<K, H, E, A>, false> {};
template <class K, class H, class E, class A>
struct Form<std::unordered_multiset<K, H, E, A>>
    : SetForm<std::unordered_multiset<K, H, E, A>, false> {};
template <class K, class T, class L, class A>
struct Form<std::map<K, T, L, A>> : MapForm<std::map<K, T, L, A>, true> {};
template <class K, class T, class L, class A>
struct Form<std::multimap<K, T, L, A>> : MapForm<std::multimap<K, T, L, A>, true> {};
template <class K, class T, class H, class E, class A>
struct Form<std::unordered_map<K, T, H, E, A>> : MapForm<std::unordered_map<K, T, H, E, A>, false> {
};
template <class K, class T, class H, class E, class A>
struct Form<std::unordered_multimap<K, T, H, E, A>>
    : MapForm<std::unordered_multimap<K, T, H, E, A>, false> {};

}  // namespace hoist::detail
