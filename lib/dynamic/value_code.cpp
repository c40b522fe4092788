// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>

#include <limits>
#include <string_view>

#include "dynamic/conversion.hpp"
#include "dynamic/dtype_check.hpp"
#include "dynamic/elements.hpp"
#include "dynamic/extended.hpp"
#include "dynamic/value_node.hpp"

// How a Value is encoded: docs/formats/schema.md.

namespace hoist::detail {

namespace {

/// As in pickles: decimal digits take the square of the time.
constexpr std::size_t max_integer_bytes = 4096;

void encode_text(Encoder& encoder, std::string_view text) {
  encoder.length(text.size());
  const Encoder::UserCode temporary(encoder);  // nothing of it is borrowed
  encoder.block(text.data(), text.size());
}

std::string decode_text(Decoder& decoder) {
  const std::size_t n = decoder.length();
  decoder.expect_block<char>(n);
  std::string text(n, '\0');
  decoder.block(text.data(), n);
  return text;
}

void encode_shape(Encoder& encoder, const Shape& shape) {
  encoder.length(shape.size());
  for (std::size_t extent : shape) encoder.length(extent);
}

enum DTypeFlag : unsigned char { big_endian = 1, has_fields = 2, has_base = 4 };

void encode_dtype(Encoder& encoder, const DType& dtype) {
  encoder.scalar(dtype.kind);
  encoder.scalar(static_cast<unsigned char>((dtype.big_endian ? big_endian : 0) |
                                            (dtype.fields ? has_fields : 0) |
                                            (dtype.base ? has_base : 0)));
  encoder.length(dtype.itemsize);
  encode_text(encoder, dtype.unit);
  encoder.scalar(dtype.unit_count);
  if (dtype.fields) {
    encoder.length(dtype.fields->size());
    for (const auto& field : *dtype.fields) {
      encode_text(encoder, field.name);
      encode_text(encoder, field.title);
      encoder.length(field.offset);
      encode_dtype(encoder, field.type);
    }
  }
  if (dtype.base) {
    encode_dtype(encoder, *dtype.base);
    encode_shape(encoder, dtype.shape);
  }
}

DType decode_dtype(Decoder& decoder, int depth = 0) {
  if (depth > dynamic::max_dtype_depth) throw LimitExceeded("a dtype nests too deep");
  DType dtype;
  unsigned char flags = 0;
  decoder.scalar(dtype.kind);
  decoder.scalar(flags);
  dtype.big_endian = (flags & big_endian) != 0;
  dtype.itemsize = decoder.length();
  dtype.unit = decode_text(decoder);
  decoder.scalar(dtype.unit_count);
  if ((flags & has_fields) != 0) {
    auto fields = std::make_shared<std::vector<DType::Field>>();
    for (std::size_t n = decoder.length(); n > 0; --n) {
      if (fields->size() >= dynamic::max_dtype_fields)
        throw LimitExceeded("a dtype has too many fields");
      auto& field = fields->emplace_back();
      field.name = decode_text(decoder);
      field.title = decode_text(decoder);
      field.offset = decoder.length();
      field.type = decode_dtype(decoder, depth + 1);
    }
    dtype.fields = std::move(fields);
  }
  if ((flags & has_base) != 0) {
    dtype.base = std::make_shared<DType>(decode_dtype(decoder, depth + 1));
    const std::size_t ndim = decoder.length();
    if (ndim > dynamic::max_dimensions) Decoder::throw_damaged();
    for (std::size_t i = 0; i < ndim; ++i) dtype.shape.push_back(decoder.length());
  }
  dynamic::check_dtype(dtype);
  return dtype;
}

void encode_elements(Encoder& encoder, const Value::Elements& elements) {
  encode_dtype(encoder, elements.dtype);
  Shape shape = elements.shape;
  Order order = elements.order;
  traverse_extents(encoder, shape, order);
  const std::size_t bytes = elements.nbytes();
  // The element's size only serves the filter before compression.
  const auto put = [&]<class T>(T) {
    encoder.array_block(reinterpret_cast<const T*>(elements.data), bytes / sizeof(T),
                        elements.storage);
  };
  switch (elements.dtype.itemsize) {
    case 2: put(std::uint16_t{}); break;
    case 4: put(std::uint32_t{}); break;
    case 8: put(std::uint64_t{}); break;
    default: put(std::uint8_t{});
  }
}

Value::Elements decode_elements(Decoder& decoder) {
  Value::Elements elements;
  elements.dtype = decode_dtype(decoder);
  traverse_extents(decoder, elements.shape, elements.order);
  const std::size_t bytes = dynamic::checked_bytes(elements.dtype, elements.shape);
  if (bytes > 0) {
    elements.storage = decoder.array_block(bytes, false);
    elements.data = elements.storage->data();
  }
  return elements;
}

void encode_moment(Encoder& encoder, const Value::DateTime& when) {
  for (const int part : {when.year, when.month, when.day, when.hour, when.minute, when.second,
                         when.microsecond, when.fold}) {
    encoder.scalar(std::int32_t{part});
  }
  encoder.scalar(static_cast<unsigned char>(when.utc_offset_us.has_value()));
  encoder.scalar(when.utc_offset_us.value_or(0));
}

Value::DateTime decode_moment(Decoder& decoder) {
  Value::DateTime when;
  for (int* part : {&when.year, &when.month, &when.day, &when.hour, &when.minute, &when.second,
                    &when.microsecond, &when.fold}) {
    std::int32_t number = 0;
    decoder.scalar(number);
    *part = number;
  }
  unsigned char zoned = 0;
  std::int64_t offset = 0;
  decoder.scalar(zoned);
  decoder.scalar(offset);
  if (zoned > 1) Decoder::throw_damaged();
  if (zoned == 1) when.utc_offset_us = offset;
  return when;
}

std::vector<Value> decode_items(Decoder& decoder, std::size_t n) {
  std::vector<Value> items;
  items.reserve(decoder.plausible<Value>(n));
  for (std::size_t i = 0; i < n; ++i) decode_value(decoder, items.emplace_back());
  return items;
}

Value decode_integers(Decoder& decoder, dynamic::Kind kind) {
  const std::size_t n = decoder.length();
  if (n != 3) Decoder::throw_damaged();
  return Value::sequence(kind, decode_items(decoder, n));
}

}  // namespace

void dynamic::encode_text_of(Encoder& encoder, const Value& value) {
  const auto& node = dynamic::node_as<dynamic::TextNode>(value);
  const std::string_view bytes = node.bytes();
  if (bytes.size() < segment_threshold) return encode_text(encoder, bytes);
  auto owner = node.storage;
  if (owner == nullptr) {
    owner = wrap_storage(const_cast<char*>(bytes.data()), bytes.size(), false,
                         std::make_shared<Value>(value));
  }
  encoder.length(bytes.size());
  encoder.array_block(bytes.data(), bytes.size(), owner);
}

Value dynamic::read_text(Decoder& decoder, dynamic::Kind kind) {
  const std::size_t n = decoder.length();
  decoder.expect_block<char>(n);
  if (n < segment_threshold) {
    std::string text(n, '\0');
    decoder.block(text.data(), n);
    return Value(std::make_shared<dynamic::TextNode>(kind, std::move(text)));
  }
  std::shared_ptr<Storage> storage;
  if (decoder.lends()) {
    storage = decoder.array_block(n, false);
  } else {
    storage = allocate_storage(n, Fill::none);  // never mapped: text has to stay what it is
    decoder.block(storage->data(), n);
  }
  return Value(std::make_shared<dynamic::TextNode>(kind, std::move(storage), n));
}

void encode_value(Encoder& encoder, const Value& value) {
  const Encoder::Depth depth(encoder);
  const dynamic::Kind kind = value.kind();
  encoder.scalar(static_cast<unsigned char>(kind));
  switch (kind) {
    case dynamic::Kind::none: break;
    case dynamic::Kind::boolean: encoder.scalar(static_cast<unsigned char>(value.as_bool())); break;
    case dynamic::Kind::integer: encoder.scalar(value.as_int()); break;
    case dynamic::Kind::natural: encoder.scalar(value.as_uint()); break;
    case dynamic::Kind::real: encoder.scalar(value.as_double()); break;
    case dynamic::Kind::complex:
      encoder.scalar(value.as_complex().real());
      encoder.scalar(value.as_complex().imag());
      break;
    case dynamic::Kind::text:
    case dynamic::Kind::bytes:
    case dynamic::Kind::big_integer: dynamic::encode_text_of(encoder, value); break;
    case dynamic::Kind::dict:
      encoder.length(value.entries().size());
      for (const auto& [key, part] : value.entries()) {
        encode_value(encoder, key);
        encode_value(encoder, part);
      }
      break;
    case dynamic::Kind::array: encode_elements(encoder, value.elements()); break;
    case dynamic::Kind::objects: {
      Shape shape = value.shape();
      Order order = value.order();
      traverse_extents(encoder, shape, order);
      for (const Value& item : value.items()) encode_value(encoder, item);
      break;
    }
    case dynamic::Kind::scalar:
      encode_dtype(encoder, value.dtype());
      encode_text(encoder, value.as_bytes());
      break;
    case dynamic::Kind::dtype: encode_dtype(encoder, value.dtype()); break;
    case dynamic::Kind::date:
    case dynamic::Kind::time:
    case dynamic::Kind::datetime: encode_moment(encoder, value.as_moment()); break;
    case dynamic::Kind::internal: Decoder::throw_damaged();
    default:
      encoder.length(value.items().size());
      for (const Value& item : value.items()) encode_value(encoder, item);
  }
}

void decode_value(Decoder& decoder, Value& value) {
  const Decoder::Depth depth(decoder);
  unsigned char tag = 0;
  decoder.scalar(tag);
  if (tag >= static_cast<unsigned char>(dynamic::Kind::internal)) Decoder::throw_damaged();
  const auto kind = static_cast<dynamic::Kind>(tag);
  const auto scalar = [&]<class T>(T) {
    T number{};
    decoder.scalar(number);
    return number;
  };
  switch (kind) {
    case dynamic::Kind::none: value = {}; break;
    case dynamic::Kind::boolean: {
      const auto byte = scalar(static_cast<unsigned char>(0));
      if (byte > 1) Decoder::throw_damaged();
      value = Value(byte == 1);
      break;
    }
    case dynamic::Kind::integer: value = Value(scalar(std::int64_t{})); break;
    case dynamic::Kind::natural: value = Value(scalar(std::uint64_t{})); break;
    case dynamic::Kind::real: value = Value(scalar(double{})); break;
    case dynamic::Kind::complex: {
      const double real = scalar(double{});
      value = Value(std::complex<double>(real, scalar(double{})));
      break;
    }
    case dynamic::Kind::text:
    case dynamic::Kind::bytes: value = dynamic::read_text(decoder, kind); break;
    case dynamic::Kind::big_integer: {
      const std::string bytes = decode_text(decoder);
      if (bytes.size() > max_integer_bytes) throw LimitExceeded("an integer is too long");
      value = Value::integer(bytes);
      break;
    }
    case dynamic::Kind::dict: {
      const std::size_t n = decoder.length();
      std::vector<Value::Entry> entries;
      entries.reserve(decoder.plausible<Value::Entry>(n));
      for (std::size_t i = 0; i < n; ++i) {
        auto& [key, part] = entries.emplace_back();
        decode_value(decoder, key);
        decode_value(decoder, part);
      }
      value = Value::dict(std::move(entries));
      break;
    }
    case dynamic::Kind::array: value = Value(decode_elements(decoder)); break;
    case dynamic::Kind::objects: {
      Shape shape;
      Order order{};
      traverse_extents(decoder, shape, order);
      const std::size_t n = dynamic::checked_bytes(DType{.kind = 'O', .itemsize = 8}, shape) / 8;
      value = Value::objects(std::move(shape), order, decode_items(decoder, n));
      break;
    }
    case dynamic::Kind::scalar: {
      DType dtype = decode_dtype(decoder);
      std::string bytes = decode_text(decoder);
      if (bytes.size() != dtype.itemsize) Decoder::throw_damaged();
      value = Value::scalar(std::move(dtype), std::move(bytes));
      break;
    }
    case dynamic::Kind::dtype: value = Value::type(decode_dtype(decoder)); break;
    case dynamic::Kind::date:
    case dynamic::Kind::time:
    case dynamic::Kind::datetime: {
      const Value::DateTime when = decode_moment(decoder);
      if (!dynamic::is_moment(kind, when)) Decoder::throw_damaged();
      value = Value::moment(kind, when);
      break;
    }
    case dynamic::Kind::slice:
    case dynamic::Kind::range:
    case dynamic::Kind::timedelta: value = decode_integers(decoder, kind); break;
    default: value = Value::sequence(kind, decode_items(decoder, decoder.length()));
  }
}

namespace {

void hash_bytes_of(Hasher& hasher, std::string_view text) {
  hasher.length(text.size());
  hasher.block(text.data(), text.size());
}

/// NumPy's numbers of x87 have six bytes of padding each.
void hash_numbers(Hasher& hasher, const DType& dtype, const std::byte* data, std::size_t n) {
  const bool is_long =
      (dtype.kind == 'f' && dtype.itemsize == 16) || (dtype.kind == 'c' && dtype.itemsize == 32);
  if (!is_long || !dynamic::has_x87) return hasher.block(data, n);
  for (std::size_t at = 0; at < n; at += 16) hasher.block(data + at, dynamic::x87_bytes);
}

void hash_elements(Hasher& hasher, const Value::Elements& given) {
  const DType dtype = dynamic::packed(given.dtype);
  const Value::Elements elements = dynamic::converted(given, dtype, true);
  hash_bytes_of(hasher, dtype.text());
  hasher.length(elements.shape.size());
  for (std::size_t extent : elements.shape) hasher.length(extent);
  hash_numbers(hasher, dtype, elements.data, elements.nbytes());
}

}  // namespace

void hash_value(Hasher& hasher, const Value& value) {
  const Hasher::Depth depth(hasher);
  const dynamic::Kind kind = value.kind();
  hasher.scalar(static_cast<unsigned char>(kind));
  switch (kind) {
    case dynamic::Kind::none: break;
    case dynamic::Kind::boolean: hasher.scalar(value.as_bool()); break;
    case dynamic::Kind::integer: hasher.scalar(value.as_int()); break;
    case dynamic::Kind::natural: hasher.scalar(value.as_uint()); break;
    case dynamic::Kind::real: hasher.scalar(value.as_double()); break;
    case dynamic::Kind::complex:
      hasher.scalar(value.as_complex().real());
      hasher.scalar(value.as_complex().imag());
      break;
    case dynamic::Kind::text: hash_bytes_of(hasher, value.as_text()); break;
    case dynamic::Kind::bytes:
    case dynamic::Kind::big_integer: hash_bytes_of(hasher, value.as_bytes()); break;
    case dynamic::Kind::dict:
      hasher.length(value.entries().size());
      hasher.unordered(value.entries(), [](Hasher& one, const Value::Entry& entry) {
        hash_value(one, entry.first);
        hash_value(one, entry.second);
      });
      break;
    case dynamic::Kind::set:
    case dynamic::Kind::frozen_set:
      hasher.length(value.items().size());
      hasher.unordered(value.items(), hash_value);
      break;
    case dynamic::Kind::array: hash_elements(hasher, value.elements()); break;
    case dynamic::Kind::scalar:
      hash_bytes_of(hasher, value.dtype().text());
      hash_numbers(hasher, value.dtype(),
                   reinterpret_cast<const std::byte*>(value.as_bytes().data()),
                   value.as_bytes().size());
      break;
    case dynamic::Kind::dtype: hash_bytes_of(hasher, value.dtype().text()); break;
    case dynamic::Kind::date:
    case dynamic::Kind::time:
    case dynamic::Kind::datetime: hash_bytes_of(hasher, value.to_string()); break;
    default:
      if (kind == dynamic::Kind::objects) {
        hasher.length(value.shape().size());
        for (std::size_t extent : value.shape()) hasher.length(extent);
      }
      hasher.length(value.items().size());
      for (const Value& item : value.items()) hash_value(hasher, item);
  }
}

}  // namespace hoist::detail
