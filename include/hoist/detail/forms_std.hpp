// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/forms.hpp>
#include <hoist/detail/forms_associative.hpp>
#include <hoist/detail/forms_converted.hpp>
#include <hoist/detail/forms_polymorphic.hpp>
#include <hoist/detail/forms_sequences.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <iterator>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

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
    if constexpr (Ar::decoding && (std::is_const_v<Ts> || ...)) {
      // Constant parts, such as the keys in a map's elements, get their values where the object is
      // made.
      std::tuple<std::remove_const_t<Ts>...> parts;
      Form<decltype(parts)>::traverse(ar, parts);
      std::apply(
          // A move that throws would leave no object: noexcept, so that it ends the program.
          [&](auto&... part) noexcept {
            std::destroy_at(std::addressof(value));
            ::new (static_cast<void*>(std::addressof(value))) V(std::move(part)...);
          },
          parts);
    } else {
      std::apply(
          [&](auto&... parts) {
            (Form<std::remove_cvref_t<decltype(parts)>>::traverse(ar, parts), ...);
          },
          value);
    }
  }
};
template <class A, class B>
struct Form<std::pair<A, B>> : TupleForm<A, B> {};
template <class... Ts>
struct Form<std::tuple<Ts...>> : TupleForm<Ts...> {};

template <LikeComplex C>
  requires std::is_floating_point_v<typename C::value_type>
struct Form<C> : FormOf<typename C::value_type> {
  using T = typename C::value_type;
  static void schema(SchemaWriter& writer) {
    constexpr int digits = std::numeric_limits<T>::digits;
    writer.text(sizeof(T) == 4 ? "c64" : sizeof(T) == 8 ? "c128" : digits == 64 ? "c160" : "c256");
  }
  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    T real = value.real(), imaginary = value.imag();
    Form<T>::traverse(ar, real);
    Form<T>::traverse(ar, imaginary);
    if constexpr (Ar::decoding) value = {real, imaginary};
  }
};

/// std::valarray.
template <class A>
concept LikeValarray = requires(const A& values) {
  typename A::value_type;
  values.cshift(1);
} && is_standard<A>();
template <LikeValarray A>
struct Form<A> : FormOf<typename A::value_type> {
  using T = typename A::value_type;
  static void schema(SchemaWriter& writer) { describe<T>(writer, "[", "]"); }
  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    // The elements of a std::valarray are contiguous.
    const auto data = [&] { return value.size() > 0 ? std::addressof(value[0]) : nullptr; };
    if constexpr (!is_block<T>()) {
      std::vector<T> elements;
      if constexpr (!Ar::decoding) elements.assign(std::begin(value), std::end(value));
      const typename Ar::UserCode temporary(ar);
      Form<std::vector<T>>::traverse(ar, elements);
      if constexpr (Ar::decoding) {
        value.resize(elements.size());
        std::move(elements.begin(), elements.end(), std::begin(value));
      }
    } else if constexpr (Ar::decoding) {
      const std::size_t n = ar.length(takes_no_bytes<T>);
      ar.template expect_block<T>(n);
      value.resize(n);
      ar.block(data(), n);
    } else {
      ar.length(value.size());
      ar.block(data(), value.size());
    }
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

/// optional: a flag, then the value if there is one.
template <class T>
  requires(!std::is_const_v<T>)
struct Form<std::optional<T>> : FormOf<T> {
  static void schema(SchemaWriter& writer) { describe<T>(writer, "?", ""); }
  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    const typename Ar::Depth depth(ar);
    bool present = value.has_value();
    Form<bool>::traverse(ar, present);
    if constexpr (Ar::decoding) {
      if (!present) return value.reset();
      value.emplace();
    }
    if (present) Form<T>::traverse(ar, *value);
  }
};

template <class... Ts>
  requires(!(std::is_const_v<Ts> || ...))
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
        const auto decode = [&](auto& part) {
          Form<std::remove_reference_t<decltype(part)>>::traverse(ar, part);
        };
        ((I == index ? decode(value.template emplace<I>()) : void()), ...);
      }(std::index_sequence_for<Ts...>());
    } else {
      if (value.valueless_by_exception()) throw CannotTravel("a variant has lost its value");
      ar.length(value.index());
      std::visit([&](auto& part) { Form<std::remove_cvref_t<decltype(part)>>::traverse(ar, part); },
                 value);
    }
  }
};

struct Same {
  template <class T>
  std::remove_cvref_t<T> operator()(T&& value) const;
  void operator()() const;
};
/// std::expected and classes like it, encoded as a variant of value and error. (In a class derived
/// from one, transform() makes the base.)
template <class T>
concept LikeExpected = requires {
  typename T::value_type;
  typename T::error_type;
  typename T::unexpected_type;
} && (is_standard<T>() || requires(T&& value) {
                         { std::move(value).transform(Same()) } -> std::same_as<T>;
                       });
template <LikeExpected T>
struct Form<T> {
  using Value = std::conditional_t<std::is_void_v<typename T::value_type>, std::monostate,
                                   typename T::value_type>;
  using Error = typename T::error_type;
  using Either = Form<std::variant<Value, Error>>;
  template <class... Open>
  static constexpr bool supported() {
    return Either::template supported<Open...>();
  }
  static void schema(SchemaWriter& writer) { Either::schema(writer); }

  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    if constexpr (Ar::decoding) {
      std::variant<Value, Error> either;
      Either::traverse(ar, either);
      if (either.index() == 1) {
        value = typename T::unexpected_type(std::get<1>(std::move(either)));
      } else if constexpr (std::is_void_v<typename T::value_type>) {
        value.emplace();
      } else {
        value = std::get<0>(std::move(either));
      }
    } else {
      const typename Ar::Depth depth(ar);
      ar.length(value.has_value() ? 0 : 1);
      if (!value.has_value()) {
        Form<Error>::traverse(ar, value.error());
      } else if constexpr (!std::is_void_v<typename T::value_type>) {
        Form<Value>::traverse(ar, *value);
      }
    }
  }
};

}  // namespace hoist::detail
