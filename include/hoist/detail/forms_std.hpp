// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/forms.hpp>
#include <hoist/detail/forms_associative.hpp>
#include <hoist/detail/forms_sequences.hpp>

#include <chrono>
#include <complex>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <variant>

namespace hoist::detail {

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

/// shared_ptr: objects are numbered in the order of their first visit (0 is null) and encoded once.
/// In a hash each pointer counts with the content of its object, so that shared and equal objects
/// hash equal.
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
      std::visit([&](auto& part) { Form<std::remove_cvref_t<decltype(part)>>::traverse(ar, part); },
                 value);
    }
  }
};

}  // namespace hoist::detail
