// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/forms.hpp>

#include <bitset>
#include <chrono>
#include <deque>
#include <filesystem>
#include <forward_list>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <stack>
#include <string>
#include <tuple>
#include <typeinfo>
#include <unordered_map>
#include <unordered_set>
#include <valarray>
#include <variant>
#include <vector>

namespace hoist::detail {

template <class T>
void describe(SchemaWriter& writer, std::string_view before, std::string_view after) {
  writer.text(before);
  writer.type<T>();
  writer.text(after);
}

/// Elements that take no bytes can't be checked against the bytes left: their count is bounded.
template <class T>
inline constexpr bool takes_no_bytes = std::is_empty_v<T>;

/// Shared by the forms whose parts are the types `Parts`.
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
        ar.template expect_block<T>(n);
        value.resize(n);
        ar.block(value.data(), n);
      } else {
        value.clear();
        value.reserve(ar.plausible(n));
        for (std::size_t i = 0; i < n; ++i) Form<T>::traverse(ar, value.emplace_back());
      }
    } else {
      ar.length(value.size());
      if constexpr (moves_as_block<Ar, T>) {
        ar.block(value.data(), value.size());
      } else {
        for (const auto& element : value) Form<T>::traverse(ar, element);
      }
    }
  }
};

template <class Char, class Traits, class Allocator>
struct Form<std::basic_string<Char, Traits, Allocator>>
    : ContiguousForm<std::basic_string<Char, Traits, Allocator>> {
  static void schema(SchemaWriter& writer) {
    writer.text(sizeof(Char) == 1 ? "str" : sizeof(Char) == 2 ? "[u16]" : "[u32]");
  }
};

template <class T, class Allocator>
struct Form<std::vector<T, Allocator>> : ContiguousForm<std::vector<T, Allocator>> {
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
      value.reserve(ar.plausible(n));
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

template <>
struct Form<std::filesystem::path> : FormOf<> {
  static void schema(SchemaWriter& writer) { writer.text("str"); }
  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    if constexpr (Ar::decoding) {
      std::string text;
      Form<std::string>::traverse(ar, text);
      value = std::move(text);
    } else {
      Form<std::string>::traverse(ar, value.native());
    }
  }
};

/// Node-based sequences: as vectors in the encoding.
template <class C, class T = typename C::value_type>
struct SequenceForm : FormOf<T> {
  static void schema(SchemaWriter& writer) { describe<T>(writer, "[", "]"); }
  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    if constexpr (Ar::decoding) {
      std::vector<T> elements;
      Form<std::vector<T>>::traverse(ar, elements);
      value = C(std::make_move_iterator(elements.begin()), std::make_move_iterator(elements.end()));
    } else if constexpr (!Ar::hashing && is_block<T>()) {
      // A vector of these is one block, so this has to be one as well.
      std::vector<T> elements(value.begin(), value.end());
      const typename Ar::UserCode temporary(ar);
      Form<std::vector<T>>::traverse(ar, elements);
    } else if constexpr (moves_as_block<Ar, T>) {
      const std::vector<T> elements(value.begin(), value.end());
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

template <class T>
struct Form<std::valarray<T>> : FormOf<T> {
  static void schema(SchemaWriter& writer) { describe<T>(writer, "[", "]"); }
  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    std::vector<T> elements;
    if constexpr (!Ar::decoding) elements.assign(std::begin(value), std::end(value));
    const typename Ar::UserCode temporary(ar);
    Form<std::vector<T>>::traverse(ar, elements);
    if constexpr (Ar::decoding) value = std::valarray<T>(elements.data(), elements.size());
  }
};

template <class T, std::size_t N>
struct Form<std::array<T, N>> : FormOf<T> {
  static void schema(SchemaWriter& writer) {
    describe<T>(writer, "[", ";");
    writer.text(std::to_string(N));
    writer.text("]");
  }
  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    if constexpr (moves_as_block<Ar, T>) {
      ar.block(value.data(), N);
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

/// std::stack, queue and priority_queue, through the container they adapt.
template <class Adaptor, class C = typename Adaptor::container_type>
struct AdaptorForm : FormOf<C> {
  static void schema(SchemaWriter& writer) { Form<C>::schema(writer); }
  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    Form<C>::traverse(ar, value.*Open::container());
  }

 private:
  /// The adapted container is a protected member; its address may be formed by a derived class.
  struct Open : Adaptor {
    static constexpr C Adaptor::*container() { return &Open::c; }
  };
};
template <class T, class C>
struct Form<std::stack<T, C>> : AdaptorForm<std::stack<T, C>> {};
template <class T, class C>
struct Form<std::queue<T, C>> : AdaptorForm<std::queue<T, C>> {};
template <class T, class C, class Less>
struct Form<std::priority_queue<T, C, Less>> : AdaptorForm<std::priority_queue<T, C, Less>> {};

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

template <class... Ts>
struct TupleForm : FormOf<Ts...> {
  static void schema(SchemaWriter& writer) {
    writer.text("(");
    std::size_t i = 0;
    ((writer.text(i++ > 0 ? "," : ""), writer.type<std::remove_cv_t<Ts>>()), ...);
    writer.text(")");
  }
  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    std::apply(
        [&](auto&... parts) {
          (Form<std::remove_cvref_t<decltype(parts)>>::traverse(ar, parts), ...);
        },
        value);
  }
};
template <class A, class B>
struct Form<std::pair<A, B>> : TupleForm<A, B> {};
template <class... Ts>
struct Form<std::tuple<Ts...>> : TupleForm<Ts...> {};

template <class T>
struct Form<std::complex<T>> : FormOf<T> {
  static void schema(SchemaWriter& writer) {
    writer.text(sizeof(T) == 4 ? "c64" : sizeof(T) == 8 ? "c128" : "c160");
  }
  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    T real = value.real(), imaginary = value.imag();
    Form<T>::traverse(ar, real);
    Form<T>::traverse(ar, imaginary);
    if constexpr (Ar::decoding) value = {real, imaginary};
  }
};

template <class Rep, class Period>
struct Form<std::chrono::duration<Rep, Period>> : FormOf<Rep> {
  static void schema(SchemaWriter& writer) {
    describe<Rep>(writer, "duration<", ",");
    writer.text(std::to_string(Period::num) + "/" + std::to_string(Period::den) + ">");
  }
  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    Rep count = value.count();
    Form<Rep>::traverse(ar, count);
    if constexpr (Ar::decoding) value = V(count);
  }
};
template <class Clock, class Duration>
struct Form<std::chrono::time_point<Clock, Duration>> : FormOf<Duration> {
  static void schema(SchemaWriter& writer) { describe<Duration>(writer, "time<", ">"); }
  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    Duration since = value.time_since_epoch();
    Form<Duration>::traverse(ar, since);
    if constexpr (Ar::decoding) value = V(since);
  }
};

template <>
struct Form<std::monostate> : FormOf<> {
  static void schema(SchemaWriter& writer) { writer.text("none"); }
  template <class Ar, class V>
  static void traverse(Ar&, V&) {}
};

/// optional and unique_ptr: a flag, then the value if there is one.
template <class P, class T>
struct MaybeForm : FormOf<T> {
  static void schema(SchemaWriter& writer) { describe<T>(writer, "?", ""); }
  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    const typename Ar::Depth depth(ar);
    bool present = static_cast<bool>(value);
    Form<bool>::traverse(ar, present);
    if constexpr (Ar::decoding) {
      if (present) {
        if constexpr (std::is_same_v<P, std::optional<T>>) {
          value.emplace();
        } else {
          value.reset(new T{});
        }
      } else {
        value.reset();
      }
    }
    if (present) Form<T>::traverse(ar, *value);
  }
};
template <class T>
struct Form<std::optional<T>> : MaybeForm<std::optional<T>, T> {};
template <class T>
  requires(!std::is_array_v<T>)
struct Form<std::unique_ptr<T>> : MaybeForm<std::unique_ptr<T>, std::remove_const_t<T>> {};

/// shared_ptr: objects are numbered in order of first visit (0 is null) and encoded once; in a hash
/// each stands for its content, so that sharing and equal copies hash equal.
template <class T>
struct Form<std::shared_ptr<T>> : FormOf<T> {
  using Object = std::remove_const_t<T>;
  static void schema(SchemaWriter& writer) { describe<Object>(writer, "&", ""); }
  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    const typename Ar::Depth depth(ar);
    if constexpr (Ar::decoding) {
      const std::size_t number = ar.length();
      if (number == 0) {
        value.reset();
      } else if (auto known = ar.shared(number - 1, &type_tag<Object>)) {
        value = std::static_pointer_cast<Object>(known);
      } else {
        auto object = std::make_shared<Object>();
        ar.add_shared(object, &type_tag<Object>);
        Form<Object>::traverse(ar, *object);
        value = std::move(object);
      }
    } else {
      if constexpr (std::is_polymorphic_v<T>) {
        if (value && typeid(*value) != typeid(T)) {
          throw CannotTravel(std::string("a shared_ptr to ") + typeid(T).name() +
                             " points to an object of a derived class, which would be cut");
        }
      }
      if constexpr (Ar::hashing) {
        ar.length(value ? 1 : 0);
        if (!value) return;
        if (ar.enter(value.get())) {
          Form<Object>::traverse(ar, *value);
          ar.leave();
        }
      } else {
        if (!value) {
          ar.length(0);
          return;
        }
        const auto [number, is_new] = ar.shared(value.get());
        ar.length(number + 1);
        if (is_new) Form<Object>::traverse(ar, *value);
      }
    }
  }
};
template <class T>
struct Form<std::weak_ptr<T>> : FormOf<T> {
  static void schema(SchemaWriter& writer) { Form<std::shared_ptr<T>>::schema(writer); }
  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    std::shared_ptr<T> object = value.lock();
    Form<std::shared_ptr<T>>::traverse(ar, object);
    if constexpr (Ar::decoding) value = object;
  }
};

template <class... Ts>
struct Form<std::variant<Ts...>> : FormOf<Ts...> {
  static void schema(SchemaWriter& writer) {
    writer.text("<");
    std::size_t i = 0;
    ((writer.text(i++ > 0 ? "|" : ""), writer.type<Ts>()), ...);
    writer.text(">");
  }
  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    const typename Ar::Depth depth(ar);
    if constexpr (Ar::decoding) {
      const std::size_t index = ar.length();
      if (index >= sizeof...(Ts)) Decoder::throw_damaged();
      [&]<std::size_t... I>(std::index_sequence<I...>) {
        ((I == index && (Form<Ts>::traverse(ar, value.template emplace<I>()), true)) || ...);
      }(std::index_sequence_for<Ts...>());
    } else {
      if (value.valueless_by_exception()) throw CannotTravel("a variant has lost its value");
      ar.length(value.index());
      std::visit(
          [&](auto& part) { Form<std::remove_cvref_t<decltype(part)>>::traverse(ar, part); },
          value);
    }
  }
};

}  // namespace hoist::detail
