// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/array.hpp>
#include <hoist/detail/storage.hpp>
#include <hoist/dtype.hpp>
#include <hoist/values.hpp>

#include <complex>
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hoist {

/// A value whose type is known only at run time: what a file of unknown content holds.
///
/// `load<Value>(path)` reads every format; a Value can be dumped to every format, hashed and sent like
/// any other value. It never changes once made, copies share their parts, and arrays share their
/// elements: copying is cheap. Const access from several threads is safe. Accessors throw WrongType
/// naming what the value is instead.
class Value {
 public:
  enum class Kind : unsigned char {
    none,
    boolean,
    integer,      ///< 64 bits, signed
    natural,      ///< from 2^63 up to 2^64-1
    big_integer,  ///< beyond that
    real,
    complex,
    text,
    bytes,
    list,
    tuple,
    set,
    frozen_set,
    dict,
    array,    ///< of numbers, bools, fixed strings, times, structures
    objects,  ///< an array of Values
    scalar,   ///< one element of an array with its dtype
    dtype,
    slice,  ///< items: start, stop, step
    range,  ///< likewise
    date,
    time,
    datetime,
    timedelta,  ///< days, seconds, microseconds
    internal,   ///< never outside a reader
  };
  using Entry = std::pair<Value, Value>;

  /// The elements of an array: `data` inside `storage`, in C or Fortran order.
  struct Elements {
    DType dtype;
    Shape shape;
    Order order = Order::c;
    std::shared_ptr<detail::Storage> storage;
    const std::byte* data = nullptr;
    std::size_t size() const;
    std::size_t nbytes() const { return size() * dtype.itemsize; }
  };
  struct DateTime {
    int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, microsecond = 0;
    int fold = 0;
    std::optional<std::int64_t> utc_offset_us = std::nullopt;
    friend bool operator==(const DateTime&, const DateTime&) = default;
  };
  struct Node;

  Value() = default;
  Value(std::same_as<bool> auto value) : kind_(Kind::boolean) { plain_.integer = value; }
  Value(std::signed_integral auto value) : kind_(Kind::integer) { plain_.integer = value; }
  Value(std::unsigned_integral auto value)
    requires(!std::same_as<decltype(value), bool>)
      : kind_(std::uint64_t{value} >> 63U != 0 ? Kind::natural : Kind::integer) {
    plain_.integer = static_cast<std::int64_t>(value);
  }
  Value(std::floating_point auto value) : kind_(Kind::real) {
    plain_.real = static_cast<double>(value);
  }
  Value(std::complex<double> value);
  Value(std::string text);
  Value(std::string_view text) : Value(std::string(text)) {}
  Value(const char* text) : Value(std::string(text)) {}
  template <class T>
  Value(const Array<T>& array);
  Value(Elements elements);
  static Value bytes(std::string bytes);
  /// An integer from its two's complement bytes, least significant first.
  static Value integer(std::string_view bytes);
  static Value list(std::vector<Value> items);
  static Value tuple(std::vector<Value> items);
  static Value set(std::vector<Value> items);
  static Value dict(std::vector<Entry> entries);
  /// Of a kind that has items: list, tuple, set, frozen_set, slice, range.
  static Value sequence(Kind kind, std::vector<Value> items);
  static Value objects(Shape shape, Order order, std::vector<Value> items_in_c_order);
  static Value scalar(DType dtype, std::string bytes);
  static Value moment(Kind kind, DateTime when);
  static Value type(DType dtype);
  /// Any storable value, as reading it back without its type would give it.
  template <Storable T>
  static Value from(const T& value);

  Kind kind() const noexcept;
  bool is_none() const noexcept { return kind() == Kind::none; }
  bool as_bool() const;
  std::int64_t as_int() const;
  std::uint64_t as_uint() const;
  /// Any number that is no complex one; integers beyond 2^53 are rounded.
  double as_double() const;
  std::complex<double> as_complex() const;
  /// Valid as long as a copy of the value, as is what `as_bytes` returns.
  std::string_view as_text() const;
  /// Of bytes, a scalar, or (two's complement, least significant first) a big integer.
  std::string_view as_bytes() const;
  /// Of a list, tuple, set, slice, range, timedelta or array of objects.
  const std::vector<Value>& items() const;
  /// Of a dict, in order of insertion.
  const std::vector<Entry>& entries() const;
  const Elements& elements() const;
  /// Element type of an array, an array of objects or a scalar.
  const DType& dtype() const;
  const Shape& shape() const;
  Order order() const;
  const DateTime& as_moment() const;
  /// The elements, shared, as an array of that type, which must be the array's own.
  template <class T>
  Array<T> as_array() const;
  /// The value as a type, converted as `load<T>` would.
  template <Storable T>
  T to() const;

  /// Number of items, entries or elements; bytes of text.
  std::size_t size() const;
  /// Item of a list or tuple, entry of a dict with text keys; NotFound if there is none.
  const Value& operator[](std::size_t index) const;
  const Value& operator[](std::string_view key) const;
  const Value* find(std::string_view key) const;

  /// As Python would print it, long parts cut to about `most` characters in all.
  std::string to_string(std::size_t most = 10000) const;
  /// A short name of what it is, for messages: `list`, `array of <f8`.
  std::string kind_name() const;

  /// Same kinds and contents; dicts and sets regardless of order, arrays regardless of byte order.
  friend bool operator==(const Value& a, const Value& b);

  /// The shared part behind this value, null for plain ones: equal for copies of one value.
  const Node* node() const noexcept { return node_.get(); }
  /// False where there is certainly no other copy of this value.
  bool is_shared() const noexcept { return node_.use_count() > 1; }

  /// Used by readers and writers.
  explicit Value(std::shared_ptr<Node> node) : node_(std::move(node)) {}
  std::weak_ptr<Node> watch() const noexcept { return node_; }

 private:
  Kind kind_ = Kind::none;
  union Plain {
    std::int64_t integer = 0;
    double real;
  } plain_;
  std::shared_ptr<Node> node_;
};

}  // namespace hoist

// How a Value is encoded, and its member templates.
#include <hoist/detail/form_value.hpp>
