// SPDX-License-Identifier: BSD-3-Clause
#include "dynamic/elements.hpp"

#include <hoist/error.hpp>

#include <algorithm>
#include <bit>
#include <cstring>

#include "dynamic/schema_types.hpp"
#include "dynamic/value_node.hpp"

namespace hoist::detail::dynamic {

namespace {

/// How many bytes are turned round together in an element of another byte order.
std::size_t unit_of(const DType& dtype) {
  switch (dtype.kind) {
    case 'U': return 4;
    case 'c': return dtype.itemsize / 2;
    case 'i':
    case 'u':
    case 'f':
    case 'M':
    case 'm': return dtype.itemsize;
    default: return 1;
  }
}

bool is_count(char kind) { return kind == 'M' || kind == 'm'; }

bool alike(const DType& from, const DType& to) {
  if (from.itemsize != to.itemsize) return false;
  if (is_count(from.kind) && to.kind == 'i') return true;
  return from.kind == to.kind &&
         (!is_count(from.kind) || (from.unit == to.unit && from.unit_count == to.unit_count));
}

const DType::Field* field_named(const DType& dtype, const std::string& name) {
  for (const auto& field : *dtype.fields) {
    if (field.name == name) return &field;
  }
  return nullptr;
}

template <class T>
T read(const std::byte* from, bool swap) {
  std::byte bytes[sizeof(T)];
  std::memcpy(bytes, from, sizeof bytes);
  if (swap) std::reverse(bytes, bytes + sizeof bytes);
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

double read_real(const std::byte* from, std::size_t bytes, bool swap) {
  switch (bytes) {
    case 2: {
      Float16 half;
      half.bits = read<std::uint16_t>(from, swap);
      return static_cast<float>(half);
    }
    case 4: return read<float>(from, swap);
    case 8: return read<double>(from, swap);
    default: return static_cast<double>(read<long double>(from, swap));
  }
}

}  // namespace

std::optional<Number> number_in(const DType& dtype, const std::byte* bytes) {
  const bool swap = dtype.big_endian;
  const std::size_t size = dtype.itemsize;
  Number number{.kind = Kind::integer};
  switch (dtype.kind) {
    case 'b':
      number.kind = Kind::boolean;
      number.integer = *bytes != std::byte{0};
      return number;
    case 'i':
      number.integer = size == 1   ? read<std::int8_t>(bytes, swap)
                       : size == 2 ? read<std::int16_t>(bytes, swap)
                       : size == 4 ? read<std::int32_t>(bytes, swap)
                                   : read<std::int64_t>(bytes, swap);
      return number;
    case 'u': {
      const std::uint64_t value = size == 1   ? read<std::uint8_t>(bytes, swap)
                                  : size == 2 ? read<std::uint16_t>(bytes, swap)
                                  : size == 4 ? read<std::uint32_t>(bytes, swap)
                                              : read<std::uint64_t>(bytes, swap);
      number.integer = static_cast<std::int64_t>(value);
      if (value >> 63U != 0) number.kind = Kind::natural;
      return number;
    }
    case 'f':
      number.kind = Kind::real;
      number.real = read_real(bytes, size, swap);
      return number;
    case 'c':
      number.kind = Kind::complex;
      number.real = read_real(bytes, size / 2, swap);
      number.imaginary = read_real(bytes + size / 2, size / 2, swap);
      return number;
    default: return std::nullopt;
  }
}

std::optional<Number> number_of(const Value& value) {
  switch (value.kind()) {
    case Kind::boolean: return Number{.kind = Kind::boolean, .integer = value.as_bool()};
    case Kind::integer: return Number{.kind = Kind::integer, .integer = value.as_int()};
    case Kind::natural:
      return Number{.kind = Kind::natural, .integer = static_cast<std::int64_t>(value.as_uint())};
    case Kind::real: return Number{.kind = Kind::real, .real = value.as_double()};
    case Kind::complex: {
      const auto z = value.as_complex();
      return Number{.kind = Kind::complex, .real = z.real(), .imaginary = z.imag()};
    }
    case Kind::scalar:
      return number_in(value.dtype(), reinterpret_cast<const std::byte*>(value.as_bytes().data()));
    case Kind::array:
      if (!value.shape().empty()) return std::nullopt;
      return number_in(value.dtype(), value.elements().data);
    default: return std::nullopt;
  }
}

Value element_value(const DType& dtype, const std::byte* bytes) {
  if (const auto number = number_in(dtype, bytes)) {
    switch (number->kind) {
      case Kind::boolean: return Value(number->integer != 0);
      case Kind::integer: return Value(number->integer);
      case Kind::natural: return Value(static_cast<std::uint64_t>(number->integer));
      case Kind::real: return Value(number->real);
      default: return Value(std::complex<double>(number->real, number->imaginary));
    }
  }
  if (dtype.fields) {
    std::vector<Value::Entry> entries;
    for (const auto& field : *dtype.fields) {
      entries.emplace_back(field.name, element_value(field.type, bytes + field.offset));
    }
    return Value::dict(std::move(entries));
  }
  if (dtype.base) {
    auto storage = allocate_storage(dtype.itemsize, Fill::none);
    std::memcpy(storage->data(), bytes, dtype.itemsize);
    const std::byte* data = storage->data();
    return Value(Value::Elements{*dtype.base, dtype.shape, Order::c, std::move(storage), data});
  }
  if (dtype.kind == 'U') return Value(text_of(dtype, bytes));
  if (dtype.kind == 'S') return Value::bytes(text_of(dtype, bytes));
  return Value::scalar(dtype, std::string(reinterpret_cast<const char*>(bytes), dtype.itemsize));
}

bool same_layout(const DType& a, const DType& b) {
  if (a.itemsize != b.itemsize || !a.fields != !b.fields || !a.base != !b.base) return false;
  if (a.base) return a.shape == b.shape && same_layout(*a.base, *b.base);
  if (!a.fields) return alike(a, b) && (a.big_endian == b.big_endian || unit_of(a) == 1);
  if (a.fields->size() != b.fields->size()) return false;
  for (std::size_t i = 0; i < a.fields->size(); ++i) {
    const auto &x = (*a.fields)[i], &y = (*b.fields)[i];
    if (x.name != y.name || x.offset != y.offset || !same_layout(x.type, y.type)) return false;
  }
  return true;
}

bool repackable(const DType& from, const DType& to) {
  if (!from.fields != !to.fields || !from.base != !to.base) return false;
  if (from.base) return from.shape == to.shape && repackable(*from.base, *to.base);
  if (!from.fields) return alike(from, to);
  if (from.fields->size() != to.fields->size()) return false;
  return std::all_of(to.fields->begin(), to.fields->end(), [&](const DType::Field& field) {
    const auto* source = field_named(from, field.name);
    return source != nullptr && repackable(source->type, field.type);
  });
}

void repack(const DType& from, const std::byte* source, const DType& to, std::byte* target) {
  if (from.base) {
    const std::size_t n = checked_elements(from.shape, 1);
    for (std::size_t i = 0; i < n; ++i) {
      repack(*from.base, source + i * from.base->itemsize, *to.base,
             target + i * to.base->itemsize);
    }
  } else if (from.fields) {
    for (const auto& field : *to.fields) {
      const auto* at = field_named(from, field.name);
      repack(at->type, source + at->offset, field.type, target + field.offset);
    }
  } else {
    std::copy_n(source, from.itemsize, target);
    const std::size_t unit = unit_of(from);
    if (from.big_endian != to.big_endian && unit > 1) {
      for (std::size_t i = 0; i < from.itemsize; i += unit) {
        std::reverse(target + i, target + i + unit);
      }
    }
  }
}

DType packed(const DType& dtype) {
  DType result = dtype;
  result.big_endian = false;
  if (dtype.base) {
    result.base = std::make_shared<DType>(packed(*dtype.base));
    result.itemsize = result.base->itemsize * checked_elements(dtype.shape, 1);
  } else if (dtype.fields) {
    auto fields = std::make_shared<std::vector<DType::Field>>();
    result.itemsize = 0;
    for (const auto& field : *dtype.fields) {
      fields->push_back({field.name, result.itemsize, packed(field.type)});
      result.itemsize += fields->back().type.itemsize;
    }
    result.fields = std::move(fields);
  }
  return result;
}

void for_each_packed(const Value::Elements& elements,
                     const std::function<void(std::span<const std::byte>)>& take) {
  const std::size_t n = elements.size();
  const DType to = packed(elements.dtype);
  if (n == 0 || to.itemsize == 0) return;
  if (elements.order != Order::fortran && same_layout(elements.dtype, to)) {
    take({elements.data, n * to.itemsize});
    return;
  }
  struct Context {
    const Value::Elements& from;
    const DType& to;
    std::vector<std::byte> element;
    const std::function<void(std::span<const std::byte>)>& take;
  } context{elements, to, std::vector<std::byte>(to.itemsize), take};
  for_each_offset(elements.shape, dense_strides(elements.shape, elements.order), &context,
                  [](void* raw, std::ptrdiff_t offset) {
                    auto& c = *static_cast<Context*>(raw);
                    const std::size_t size = c.from.dtype.itemsize;
                    repack(c.from.dtype, c.from.data + static_cast<std::size_t>(offset) * size,
                           c.to, c.element.data());
                    c.take(c.element);
                  });
}

void give_up_before(const Value::Elements& elements, std::size_t index) {
  const std::byte* end = elements.data + index * elements.dtype.itemsize;
  elements.storage->give_up(static_cast<std::size_t>(end - elements.storage->data()));
}

Value::Elements converted(const Value::Elements& elements, const DType& to, bool c_order,
                          bool give_up) {
  const bool reorder = c_order && elements.order == Order::fortran && elements.shape.size() > 1;
  if (!reorder && same_layout(elements.dtype, to)) return elements;
  const DType& from = elements.dtype;
  const std::size_t n = elements.size();
  auto storage = allocate_storage(n * to.itemsize, Fill::zero);
  std::byte* next = storage->data();
  if (!reorder) {
    constexpr std::size_t step = 4096;  // elements
    for (std::size_t i = 0; i < n; ++i, next += to.itemsize) {
      if (give_up && i % step == 0) give_up_before(elements, i);
      repack(from, elements.data + i * from.itemsize, to, next);
    }
    return {to, elements.shape, elements.order, storage, storage->data()};
  }
  struct Context {
    const Value::Elements& from;
    const DType& to;
    std::byte* next;
  } context{elements, to, next};
  for_each_offset(elements.shape, dense_strides(elements.shape, elements.order), &context,
                  [](void* raw, std::ptrdiff_t offset) {
                    auto& c = *static_cast<Context*>(raw);
                    repack(c.from.dtype,
                           c.from.data + static_cast<std::size_t>(offset) * c.from.dtype.itemsize,
                           c.to, c.next);
                    c.next += c.to.itemsize;
                  });
  return {to, elements.shape, Order::c, storage, storage->data()};
}

bool convert_in_place(Value::Elements& elements, const DType& to, bool c_order) {
  const bool reorder = c_order && elements.order == Order::fortran && elements.shape.size() > 1;
  const std::size_t size = to.itemsize;
  if (reorder || elements.dtype.itemsize != size || elements.storage == nullptr ||
      !elements.storage->writable()) {
    return false;
  }
  std::vector<std::byte> before(size);
  auto* at = const_cast<std::byte*>(elements.data);
  for (std::size_t n = elements.size(); n > 0; --n, at += size) {
    std::copy_n(at, size, before.data());
    repack(elements.dtype, before.data(), to, at);
  }
  elements.dtype = to;
  return true;
}

namespace {

bool bad_bool(const DType& dtype, const std::byte* bytes) {
  if (dtype.base) {
    const std::size_t n = checked_elements(dtype.shape, 1);
    for (std::size_t i = 0; i < n; ++i) {
      if (bad_bool(*dtype.base, bytes + i * dtype.base->itemsize)) return true;
    }
    return false;
  }
  if (dtype.fields) {
    return std::any_of(dtype.fields->begin(), dtype.fields->end(), [&](const DType::Field& field) {
      return bad_bool(field.type, bytes + field.offset);
    });
  }
  return dtype.kind == 'b' && std::to_integer<unsigned>(*bytes) > 1;
}

bool has_bools(const DType& dtype) {
  if (dtype.base) return has_bools(*dtype.base);
  if (!dtype.fields) return dtype.kind == 'b';
  return std::any_of(dtype.fields->begin(), dtype.fields->end(),
                     [](const DType::Field& field) { return has_bools(field.type); });
}

}  // namespace

bool has_bad_bools(const Value::Elements& elements) {
  if (!has_bools(elements.dtype)) return false;
  const std::size_t n = elements.size();
  for (std::size_t i = 0; i < n; ++i) {
    if (bad_bool(elements.dtype, elements.data + i * elements.dtype.itemsize)) return true;
  }
  return false;
}

namespace {

/// A row of a storage; discards the storage up to the row's end when destroyed.
class ConsumingView final : public Storage {
 public:
  ConsumingView(std::shared_ptr<Storage> whole, std::byte* data, std::size_t bytes)
      : Storage(data, bytes, whole->writable()), whole_(std::move(whole)) {}
  ~ConsumingView() override {
    whole_->give_up(static_cast<std::size_t>(data() + bytes() - whole_->data()));
  }

 private:
  std::shared_ptr<Storage> whole_;
};

}  // namespace

Value::Elements row_of(const Value::Elements& elements, std::size_t index, bool give_up) {
  Value::Elements row = elements;
  row.shape.erase(row.shape.begin());
  const std::size_t bytes = row.nbytes();
  row.data += index * bytes;
  if (give_up && bytes > 0) {
    row.storage =
        std::make_shared<ConsumingView>(elements.storage, const_cast<std::byte*>(row.data), bytes);
  }
  return row;
}

}  // namespace hoist::detail::dynamic

namespace hoist::detail {

std::shared_ptr<Storage> check_elements(const Value::Elements& elements, const DType& dtype,
                                        bool writable) {
  if (!dynamic::same_layout(elements.dtype, dtype)) {
    throw WrongType("the array's elements are " + elements.dtype.text() + ", not " + dtype.text() +
                    ": load it with its own element type, then Array::astype converts");
  }
  if (elements.storage == nullptr) return nullptr;
  if (writable && !elements.storage->writable()) {
    throw WrongType("the array is mapped read-only: ask for Array<const T>");
  }
  if (dynamic::has_bad_bools(elements)) throw DamagedData("a bool in the data is neither 0 nor 1");
  return elements.storage;
}

}  // namespace hoist::detail
