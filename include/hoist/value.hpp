// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

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

/// A value whose type is known only at run time: the content of a file of unknown structure.
///
/// `load<Value>(path)` reads every format. A Value can be dumped to every format, hashed, and sent
/// to other processes like any other value. It is immutable; copies share their parts and arrays
/// share their elements, so copying is cheap. Const access from several threads is safe. Accessors
/// throw WrongType, which names what the value is, if it is of another kind.
class Value {
 public:
  /// What a value is; Python's name where it has one.
  enum class Kind : unsigned char {
    none,
    boolean,
    integer,      ///< 64 bits, signed
    natural,      ///< from 2^63 up to 2^64-1
    big_integer,  ///< outside both ranges
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
    range,  ///< items: start, stop, step
    date,
    time,
    datetime,
    timedelta,  ///< days, seconds, microseconds
    internal,   ///< used only inside a reader
  };
  /// An entry of a dict: key and value.
  using Entry = std::pair<Value, Value>;

  /// The elements of an array: `data` inside `storage`, in C or Fortran order.
  struct Elements {
    DType dtype;
    Shape shape;
    Order order = Order::c;
    std::shared_ptr<detail::Storage> storage;
    const std::byte* data = nullptr;
    /// Number of elements.
    std::size_t size() const;
    std::size_t nbytes() const { return size() * dtype.itemsize; }
  };
  /// A date, a time of day, or both; `fold` as in Python (1: the second of two equal local times),
  /// `utc_offset_us` in microseconds if there is a time zone.
  struct DateTime {
    int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, microsecond = 0;
    int fold = 0;
    std::optional<std::int64_t> utc_offset_us = std::nullopt;
    friend bool operator==(const DateTime&, const DateTime&) = default;
  };
  struct Node;

  /// Python's None.
  Value() = default;
  /// Plain values; they need no memory of their own. Unsigned integers from 2^63 on become
  /// `natural`.
  Value(std::same_as<bool> auto value) : kind_(Kind::boolean) { plain_.integer = value; }
  Value(std::signed_integral auto value)
    requires(sizeof(value) <= sizeof(std::int64_t))
      : kind_(Kind::integer) {
    plain_.integer = value;
  }
  Value(std::unsigned_integral auto value)
    requires(!std::same_as<decltype(value), bool> && sizeof(value) <= sizeof(std::int64_t))
      : kind_(std::uint64_t{value} >> 63U != 0 ? Kind::natural : Kind::integer) {
    plain_.integer = static_cast<std::int64_t>(value);
  }
  Value(std::floating_point auto value) : kind_(Kind::real) {
    plain_.real = static_cast<double>(value);
  }
#if defined(__SIZEOF_INT128__)
  // They would be cut to 64 bits, or become complex numbers: `Value::from` keeps all bits.
  Value(std::same_as<detail::Int128> auto value) = delete;
  Value(std::same_as<detail::UInt128> auto value) = delete;
#endif
  /// Values with memory of their own.
  Value(std::complex<double> value);
  Value(std::string text);
  Value(std::string_view text) : Value(std::string(text)) {}
  Value(const char* text) : Value(std::string(text)) {}
  /// An array that shares the elements; a strided array is copied first.
  template <class T>
  Value(const Array<T>& array);
  /// An array whose element type is known at run time.
  Value(Elements elements);
  /// Python's bytes.
  static Value bytes(std::string bytes);
  /// An integer from its two's complement bytes, least significant first; `integer` if it fits.
  static Value integer(std::string_view bytes);
  /// Containers of values. Entries of a dict keep their order; equal keys are not merged.
  static Value list(std::vector<Value> items);
  static Value tuple(std::vector<Value> items);
  static Value set(std::vector<Value> items);
  static Value dict(std::vector<Entry> entries);
  /// Of a kind that has items: list, tuple, set, frozen_set, slice, range; which is not checked.
  static Value sequence(Kind kind, std::vector<Value> items);
  /// An array of values of any kind. `items_in_c_order` has one item per element of `shape`;
  /// BadArgument otherwise.
  static Value objects(Shape shape, Order order, std::vector<Value> items_in_c_order);
  /// One element of an array: its type and its `dtype.itemsize` bytes; BadArgument otherwise.
  static Value scalar(DType dtype, std::string bytes);
  /// A date, time or datetime; BadArgument for another kind, and for what Python has not.
  static Value moment(Kind kind, DateTime when);
  /// A dtype as a value.
  static Value type(DType dtype);
  /// Any storable value, converted as if it were dumped and loaded without its type.
  template <Storable T>
  static Value from(const T& value);

  /// What the value is.
  Kind kind() const noexcept;
  bool is_none() const noexcept { return kind() == Kind::none; }
  /// The value of a boolean.
  bool as_bool() const;
  /// An integer. Throws WrongType if it does not fit; `as_uint` likewise.
  std::int64_t as_int() const;
  std::uint64_t as_uint() const;
  /// Any number that is not complex; integers beyond 2^53 are rounded.
  double as_double() const;
  /// Any number.
  std::complex<double> as_complex() const;
  /// The text. Valid as long as any copy of the value; also holds for `as_bytes`.
  std::string_view as_text() const;
  /// The bytes of a bytes value, of a scalar, or (two's complement, least significant first) of a
  /// big integer.
  std::string_view as_bytes() const;
  /// The items of a list, tuple, set, frozen_set, slice, range, timedelta or array of objects.
  const std::vector<Value>& items() const;
  /// The entries of a dict, in order of insertion.
  const std::vector<Entry>& entries() const;
  /// The elements of an array.
  const Elements& elements() const;
  /// The element type of an array, an array of objects or a scalar.
  const DType& dtype() const;
  /// The extents of an array or an array of objects, outermost first.
  const Shape& shape() const;
  /// The order of an array's elements in memory.
  Order order() const;
  /// The fields of a date, time or datetime.
  const DateTime& as_moment() const;
  /// The elements as an array that shares them. Throws WrongType if they are of another type than
  /// `T`, or if `T` is not const and the storage is read-only.
  template <class T>
  Array<T> as_array() const;
  /// The value converted to `T`, as `load<T>` would do. Throws WrongType or DamagedData.
  template <Storable T>
  T to() const;

  /// Number of items, entries or elements; bytes of text.
  std::size_t size() const;
  /// Item of a list or tuple, or the value of a dict's text key. Throws NotFound if there is none.
  const Value& operator[](std::size_t index) const;
  const Value& operator[](std::string_view key) const;
  /// The value of a dict's text key, or null.
  const Value* find(std::string_view key) const;

  /// The value as Python would print it, with long parts shortened so that the text has about
  /// `most` characters.
  std::string to_string(std::size_t most = 10000) const;
  /// A short description for messages: `list`, `array of <f8`.
  std::string kind_name() const;

  /// True if kinds and contents are equal, whatever the order of dicts and sets and the byte order
  /// of arrays.
  friend bool operator==(const Value& a, const Value& b);

  /// The shared part behind this value: the same for all copies of a value, null for plain values.
  const Node* node() const noexcept { return node_.get(); }
  /// False if there is certainly no other copy of this value.
  bool is_shared() const noexcept { return node_.use_count() > 1; }

  /// For readers and writers.
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
