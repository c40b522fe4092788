// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/forms.hpp>
#include <hoist/detail/packing.hpp>

#include <algorithm>
#include <array>
#include <bitset>
#include <cstddef>
#include <deque>
#include <forward_list>
#include <iterator>
#include <limits>
#include <list>
#include <memory>
#include <queue>
#include <stack>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace hoist::detail {

template <class T>
void describe(SchemaWriter& writer, std::string_view before, std::string_view after) {
  writer.text(before);
  writer.type<std::remove_cv_t<T>>();
  writer.text(after);
}

/// A count of elements that take no bytes can't be checked against the bytes left, so it has a
/// fixed bound.
template <class T>
constexpr bool encodes_no_bytes();
template <class T>
constexpr bool has_no_bytes(std::type_identity<T>) {
  if constexpr (std::is_empty_v<T>) {
    return true;
  } else if constexpr (Aggregate<T> && !UserSerialize<T>) {
    return []<std::size_t... I>(std::index_sequence<I...>) {
      return (encodes_no_bytes<std::remove_cv_t<field_type<T, I>>>() && ...);
    }(std::make_index_sequence<field_count<T>>());
  } else {
    return false;
  }
}
template <class... Ts>
constexpr bool has_no_bytes(std::type_identity<std::tuple<Ts...>>) {
  return (encodes_no_bytes<std::remove_cv_t<Ts>>() && ...);
}
template <class A, class B>
constexpr bool has_no_bytes(std::type_identity<std::pair<A, B>>) {
  return encodes_no_bytes<std::remove_cv_t<A>>() && encodes_no_bytes<std::remove_cv_t<B>>();
}
template <class T, std::size_t N>
constexpr bool has_no_bytes(std::type_identity<std::array<T, N>>) {
  return N == 0 || encodes_no_bytes<T>();
}
template <std::size_t N>
constexpr bool has_no_bytes(std::type_identity<std::bitset<N>>) {
  return N == 0;
}
template <class T>
constexpr bool encodes_no_bytes() {
  return has_no_bytes(std::type_identity<T>{});
}
template <class T>
inline constexpr bool takes_no_bytes = encodes_no_bytes<T>();

/// Base of the forms of types that are supported if all of `Parts` are.
template <class... Parts>
struct FormOf {
  template <class... Open>
  static constexpr bool supported() {
    return (detail::supported<std::remove_cv_t<Parts>, Open...>() && ... && true);
  }
};

/// Contiguous, resizable containers of elements.
template <class C, class T = typename C::value_type>
struct ContiguousForm : FormOf<T> {
  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    if constexpr (Ar::decoding) {
      const std::size_t n = ar.length(takes_no_bytes<T>);
      if constexpr (is_block<T>()) {
        ar.fill(value, n);
      } else if constexpr (packs_as_block<T>()) {
        if (n > std::numeric_limits<std::ptrdiff_t>::max() / sizeof(T)) Decoder::throw_damaged();
        ar.template expect_block<std::byte>(n * BlockTraits<T>::natural.size);
        value.resize(n);
        traverse_packed(ar, value.data(), n);
      } else {
        value.clear();
        value.reserve(ar.template plausible<T>(n));
        for (std::size_t i = 0; i < n; ++i) Form<T>::traverse(ar, value.emplace_back());
      }
    } else {
      ar.length(value.size());
      if constexpr (is_block<T>()) {
        ar.block(value.data(), value.size());
      } else if constexpr (packs_as_block<T>()) {
        traverse_packed(ar, value.data(), value.size());
      } else {
        for (const auto& element : value) Form<T>::traverse(ar, element);
      }
    }
  }
};

template <class Char, class Traits, class Allocator>
  requires(std::is_integral_v<Char> && sizeof(Char) <= 4)
struct Form<std::basic_string<Char, Traits, Allocator>>
    : ContiguousForm<std::basic_string<Char, Traits, Allocator>> {
  static void schema(SchemaWriter& writer) {
    writer.text(sizeof(Char) == 1 ? "str" : sizeof(Char) == 2 ? "[u16]" : "[u32]");
  }
};

template <class T, class Allocator>
struct Form<std::vector<T, Allocator>> : ContiguousForm<std::vector<T, Allocator>> {
  /// A vector moves its elements when it grows.
  template <class... Open>
  static constexpr bool supported() {
    return detail::supported<T, Open...>() && std::is_move_constructible_v<T>;
  }
  static void schema(SchemaWriter& writer) { describe<T>(writer, "[", "]"); }
};

template <class Allocator>
struct Form<std::vector<bool, Allocator>> : FormOf<bool> {
  static void schema(SchemaWriter& writer) { writer.text("[bool]"); }
  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    if constexpr (Ar::decoding) {
      const std::size_t n = ar.length();
      value.clear();
      value.reserve(ar.template plausible<bool>(n));
      for (std::size_t i = 0; i < n; ++i) {
        bool element = false;
        Form<bool>::traverse(ar, element);
        value.push_back(element);
      }
    } else {
      ar.length(value.size());
      for (bool element : value) Form<bool>::traverse(ar, element);
    }
  }
};

/// Node-based sequences, encoded like vectors.
template <class C, class T = typename C::value_type>
struct SequenceForm : FormOf<T> {
  static void schema(SchemaWriter& writer) { describe<T>(writer, "[", "]"); }
  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    if constexpr (Ar::decoding && BlockTraits<T>::natural.block) {
      std::vector<T> elements;
      Form<std::vector<T>>::traverse(ar, elements);
      value = C(std::make_move_iterator(elements.begin()), std::make_move_iterator(elements.end()));
    } else if constexpr (Ar::decoding) {
      const std::size_t n = ar.length(takes_no_bytes<T>);
      value.clear();
      if constexpr (requires { value.emplace_back(); }) {
        for (std::size_t i = 0; i < n; ++i) Form<T>::traverse(ar, value.emplace_back());
      } else {
        auto last = value.before_begin();
        for (std::size_t i = 0; i < n; ++i) {
          last = value.emplace_after(last);
          Form<T>::traverse(ar, *last);
        }
      }
    } else if constexpr (BlockTraits<T>::natural.block) {
      // A vector of these elements is one block, so this sequence has to be encoded as one, too.
      std::vector<T> elements(value.begin(), value.end());
      const typename Ar::UserCode temporary(ar);
      Form<std::vector<T>>::traverse(ar, elements);
    } else {
      ar.length(static_cast<std::size_t>(std::distance(value.begin(), value.end())));
      for (const auto& element : value) Form<T>::traverse(ar, element);
    }
  }
};
template <class T, class A>
struct Form<std::deque<T, A>> : SequenceForm<std::deque<T, A>> {};
template <class T, class A>
struct Form<std::list<T, A>> : SequenceForm<std::list<T, A>> {};
template <class T, class A>
struct Form<std::forward_list<T, A>> : SequenceForm<std::forward_list<T, A>> {};

template <class T, std::size_t N>
struct Form<std::array<T, N>> : FormOf<T> {
  static void schema(SchemaWriter& writer) {
    describe<T>(writer, "[", ";");
    writer.text(std::to_string(N));
    writer.text("]");
  }
  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    if constexpr (is_block<T>()) {
      ar.block(value.data(), N);
    } else if constexpr (packs_as_block<T>() && N > 0) {
      traverse_packed(ar, value.data(), N);
    } else {
      for (auto& element : value) Form<T>::traverse(ar, element);
    }
  }
};

template <std::size_t N>
struct Form<std::bitset<N>> : FormOf<> {
  static void schema(SchemaWriter& writer) { Form<std::array<bool, N>>::schema(writer); }
  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    for (std::size_t i = 0; i < N; ++i) {
      bool bit = value[i];
      Form<bool>::traverse(ar, bit);
      if constexpr (Ar::decoding) value[i] = bit;
    }
  }
};

/// std::stack, queue and priority_queue, by the container that they adapt.
template <class Adaptor, class C = typename Adaptor::container_type>
struct AdaptorForm : FormOf<C> {
  static void schema(SchemaWriter& writer) { Form<C>::schema(writer); }
  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    Form<C>::traverse(ar, value.*Open::container());
  }

 private:
  /// The adapted container is a protected member, which a derived class can access.
  struct Open : Adaptor {
    static constexpr C Adaptor::* container() { return &Open::c; }
  };
};
template <class T, class C>
struct Form<std::stack<T, C>> : AdaptorForm<std::stack<T, C>> {};
template <class T, class C>
struct Form<std::queue<T, C>> : AdaptorForm<std::queue<T, C>> {};
template <class T, class C, class Less>
struct Form<std::priority_queue<T, C, Less>> : AdaptorForm<std::priority_queue<T, C, Less>> {};

}  // namespace hoist::detail
