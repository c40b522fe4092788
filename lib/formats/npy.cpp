// SPDX-License-Identifier: BSD-3-Clause
#include "formats/npy.hpp"

#include <hoist/error.hpp>

#include <cstring>

#include "dynamic/dtype_check.hpp"
#include "dynamic/elements.hpp"
#include "dynamic/text_builder.hpp"
#include "dynamic/value_node.hpp"

namespace hoist::detail::formats {

namespace {

constexpr std::size_t max_header_bytes = std::size_t{1} << 20;

template <class T>
Value::Elements one(char kind, const T& number) {
  auto storage = allocate_storage(sizeof number, Fill::none);
  std::memcpy(storage->data(), &number, sizeof number);
  const std::byte* data = storage->data();
  return {DType{.kind = kind, .itemsize = sizeof number}, {}, Order::c, std::move(storage), data};
}

Value::Elements as_elements(const Value& value, const std::string& what);

/// A list of numbers of one kind as one array, so that small hand-made values need no Array.
std::optional<Value::Elements> list_elements(const Value& value) {
  std::vector<Value::Elements> parts;
  for (const Value& item : value.items()) {
    const auto number = dynamic::number_of(item);
    if (!number) return std::nullopt;
    parts.push_back(as_elements(item, "item"));
    if (!(parts.back().dtype == parts.front().dtype) || !parts.back().shape.empty()) {
      return std::nullopt;
    }
  }
  if (parts.empty()) return std::nullopt;
  const std::size_t size = parts[0].dtype.itemsize;
  auto storage = allocate_storage(parts.size() * size, Fill::none);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    std::memcpy(storage->data() + i * size, parts[i].data, size);
  }
  const std::byte* data = storage->data();
  return Value::Elements{parts[0].dtype, {parts.size()}, Order::c, std::move(storage), data};
}

Value::Elements as_elements(const Value& value, const std::string& what) {
  switch (value.kind()) {
    case dynamic::Kind::array: return value.elements();
    case dynamic::Kind::boolean: return one('b', static_cast<unsigned char>(value.as_bool()));
    case dynamic::Kind::integer: return one('i', value.as_int());
    case dynamic::Kind::natural: return one('u', value.as_uint());
    case dynamic::Kind::real: return one('f', value.as_double());
    case dynamic::Kind::complex: return one('c', value.as_complex());
    case dynamic::Kind::bytes:
    case dynamic::Kind::scalar: {
      static constexpr std::byte none{};
      const std::string_view bytes = value.as_bytes();
      const std::size_t size = std::max<std::size_t>(bytes.size(), 1);
      const auto* data = bytes.empty() ? &none : reinterpret_cast<const std::byte*>(bytes.data());
      DType dtype = value.kind() == dynamic::Kind::scalar ? value.dtype()
                                                          : DType{.kind = 'S', .itemsize = size};
      auto storage =
          wrap_storage(const_cast<std::byte*>(data), size, false, std::make_shared<Value>(value));
      return {std::move(dtype), {}, Order::c, std::move(storage), data};
    }
    case dynamic::Kind::list:
    case dynamic::Kind::tuple:
      if (auto elements = list_elements(value)) return *elements;
      break;
    default: break;
  }
  throw BadArgument(what + " is " + value.kind_name() +
                    ", which is no array: NumPy's files hold "
                    "arrays only; choose .joblib, .hoist or, for several arrays, .npz");
}

}  // namespace

NpyArray::NpyArray(const Value& value, const std::string& what) {
  if (value.kind() == dynamic::Kind::text) {
    text_ = value;
    const std::size_t n = std::max<std::size_t>(dynamic::count_code_points(value.as_text()), 1);
    elements_.dtype = {.kind = 'U', .itemsize = 4 * n};
  } else {
    elements_ = as_elements(value, what);
  }
}

void NpyArray::each_piece(const std::function<void(std::span<const std::byte>)>& take) const {
  if (!text_) return take({elements_.data, elements_.nbytes()});
  const std::string_view text = text_->as_text();
  std::vector<char32_t> piece(std::min(elements_.dtype.itemsize / 4, std::size_t{16} << 10));
  if (text.empty()) return take(std::as_bytes(std::span(piece)));
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t n = dynamic::decode_utf8(text, at, piece);
    take(std::as_bytes(std::span(piece).first(n)));
  }
}

void write_npy(ByteSink& out, const Value& value) {
  const NpyArray array(value, "the value for a .npy file");
  const std::string head = npy_preamble(array.header());
  out.write(std::as_bytes(std::span(head)));
  array.each_piece([&](std::span<const std::byte> piece) { out.write(piece); });
}

namespace {

bool is_text(const dynamic::SchemaNode* wanted) {
  while (wanted != nullptr && (wanted->kind == dynamic::SchemaNode::Kind::maybe ||
                               wanted->kind == dynamic::SchemaNode::Kind::shared)) {
    wanted = &wanted->part(0);
  }
  return wanted != nullptr && wanted->kind == dynamic::SchemaNode::Kind::text;
}

/// An element takes four bytes for each character, so only some of it is in memory at a time.
Value read_text_element(Input& in, const DType& dtype) {
  in.expect(dtype.itemsize);
  dynamic::TextBuilder text;
  std::vector<std::uint32_t> piece(std::min(dtype.itemsize / 4, std::size_t{16} << 10));
  std::size_t zeros = 0;  // those at the end are filling
  for (std::size_t left = dtype.itemsize / 4; left > 0;) {
    const std::size_t n = std::min(left, piece.size());
    in.get(piece.data(), 4 * n);
    left -= n;
    for (std::uint32_t code : std::span(piece).first(n)) {
      if (dtype.big_endian) code = __builtin_bswap32(code);
      if (code > 0x10FFFF) in.damaged("a text array holds what is no character");
      if (code == 0) {
        ++zeros;
        continue;
      }
      for (; zeros > 0; --zeros) text.add(0);
      text.add(code);
    }
  }
  Value value = text.text();
  if (dynamic::node_as<dynamic::TextNode>(value).latin1)
    dynamic::node_as<dynamic::TextNode>(value).widen();
  return value;
}

}  // namespace

Value read_npy(Input& in, ObjectReader read_objects, const dynamic::SchemaNode* wanted) {
  const std::string magic = in.text(npy_magic.size());
  if (magic != npy_magic) in.damaged("it does not begin as a .npy file");
  const auto major = in.number<std::uint8_t>();
  const auto minor = in.number<std::uint8_t>();
  if (major < 1 || major > 3 || minor != 0) {
    in.damaged("it is a .npy file of version " + std::to_string(major) + "." +
               std::to_string(minor) + "; versions 1.0, 2.0 and 3.0 can be read");
  }
  const std::size_t bytes = major == 1 ? in.number<std::uint16_t>() : in.number<std::uint32_t>();
  if (bytes > max_header_bytes) in.limit("its header has more than 1 MiB");
  const std::string text = in.text(bytes);
  NpyHeader header;
  std::size_t size = 0;
  try {
    header = parse_npy_header(text, major == 3);
    size = dynamic::checked_bytes(header.dtype, header.shape);
  } catch (const LimitExceeded& error) {
    in.limit(error.what());
  } catch (const DamagedData& error) {
    in.damaged(error.what());
  }
  if (header.dtype.has_objects()) return read_objects(in, header.shape);
  const bool one_text = header.dtype.kind == 'U' && header.shape.empty();
  if (one_text && is_text(wanted)) return read_text_element(in, header.dtype);
  Value::Elements elements{std::move(header.dtype), std::move(header.shape), header.order,
                           in.elements(size), nullptr};
  if (elements.storage) elements.data = elements.storage->data();
  return Value(std::move(elements));
}

}  // namespace hoist::detail::formats
