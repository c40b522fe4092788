// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/forms.hpp>
#include <hoist/detail/forms_sequences.hpp>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <system_error>
#include <utility>

namespace hoist::detail {

/// Types that are encoded as a value of another type `As`, which `to` makes of them and `from`
/// takes.
template <class T>
struct Converted;
template <class T>
concept IsConverted = requires { typename Converted<T>::As; };

template <IsConverted T>
struct Form<T> : FormOf<typename Converted<T>::As> {
  using As = typename Converted<T>::As;
  static void schema(SchemaWriter& writer) { Form<As>::schema(writer); }
  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    if constexpr (Ar::decoding) {
      As as{};
      Form<As>::traverse(ar, as);
      value = Converted<T>::from(as);
    } else {
      const As& as = Converted<T>::to(value);
      const typename Ar::UserCode temporary(ar);
      Form<As>::traverse(ar, as);
    }
  }
};
template <IsConverted T>
struct BlockTraits<T> {
  static constexpr bool plain = false;
  static constexpr NaturalLayout natural = BlockTraits<typename Converted<T>::As>::natural;
};

// --- paths --------------------------------------------------------------------------------------

/// std::filesystem::path.
template <class T>
concept LikePath = requires(const T& path) {
  T::preferred_separator;
  { path.native() } -> std::same_as<const std::string&>;
} && is_standard<T>();

template <LikePath T>
struct Converted<T> {
  using As = std::string;
  static const As& to(const T& path) { return path.native(); }
  static T from(const As& text) { return T(text); }
};

// --- the calendar -------------------------------------------------------------------------------

template <class T, class Number, class Given = unsigned>
struct CalendarNumber {
  using As = Number;
  static As to(const T& value) { return static_cast<As>(static_cast<Given>(value)); }
  static T from(As number) { return T(number); }
};
template <>
struct Converted<std::chrono::year> : CalendarNumber<std::chrono::year, std::int16_t, int> {};
template <>
struct Converted<std::chrono::month> : CalendarNumber<std::chrono::month, std::uint8_t> {};
template <>
struct Converted<std::chrono::day> : CalendarNumber<std::chrono::day, std::uint8_t> {};
template <>
struct Converted<std::chrono::weekday> {
  using As = std::uint8_t;
  static As to(const std::chrono::weekday& day) { return static_cast<As>(day.c_encoding()); }
  static std::chrono::weekday from(As day) { return std::chrono::weekday(day); }
};

struct CalendarDate {
  std::chrono::year year{};
  std::chrono::month month{};
  std::chrono::day day{};
};
template <>
struct Converted<std::chrono::year_month_day> {
  using As = CalendarDate;
  static As to(const std::chrono::year_month_day& date) {
    return {date.year(), date.month(), date.day()};
  }
  static std::chrono::year_month_day from(const As& date) {
    return {date.year, date.month, date.day};
  }
};

// --- error codes --------------------------------------------------------------------------------

/// CannotTravel or WrongType for a category that isn't the standard library's.
std::string name_of_category(const std::error_category& category);
const std::error_category& category_named(const std::string& name);

struct ErrorNumber {
  std::string category;
  std::int32_t value = 0;
};
template <class Code>
struct ConvertedCode {
  using As = ErrorNumber;
  static As to(const Code& code) { return {name_of_category(code.category()), code.value()}; }
  static Code from(const As& code) { return {code.value, category_named(code.category)}; }
};
template <>
struct Converted<std::error_code> : ConvertedCode<std::error_code> {};
template <>
struct Converted<std::error_condition> : ConvertedCode<std::error_condition> {};

// --- random engines -----------------------------------------------------------------------------

/// std::mersenne_twister_engine and std::linear_congruential_engine. The others index their state
/// by what they read of it, unchecked.
template <class T>
concept RandomEngine =
    requires { T::default_seed; } && (requires { T::tempering_l; } || requires {
      T::multiplier;
      T::modulus;
    }) && is_standard<T>();

/// What `write` writes of the state, in the classic locale.
std::string text_of_state(const void* state, void (*write)(std::ostream& to, const void* state));
/// Throws WrongType unless `read` takes all of the text.
void read_state(const std::string& text, void* state,
                void (*read)(std::istream& from, void* state));

template <RandomEngine T>
struct Converted<T> {
  using As = std::string;
  static As to(const T& engine) {
    return text_of_state(
        &engine, [](std::ostream& to, const void* state) { to << *static_cast<const T*>(state); });
  }
  static T from(const As& text) {
    T engine;
    read_state(text, &engine,
               [](std::istream& from, void* state) { from >> *static_cast<T*>(state); });
    return engine;
  }
};

}  // namespace hoist::detail
