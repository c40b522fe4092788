// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "dynamic/dtype_check.hpp"
#include "dynamic/elements.hpp"
#include "formats/dtype_names.hpp"
#include "pickle/machine.hpp"

// NumPy's dtypes, arrays and scalars as pickles build them.

namespace hoist::detail::pickle {

namespace {

const DType& built_dtype(const Value& value, Fail fail) {
  if (value.kind() != dynamic::Kind::dtype || !dynamic::node_as<dynamic::DTypeNode>(value).built)
    fail("a dtype is missing");
  return value.dtype();
}

Value::Elements elements_in(const Value& value, DType dtype, Shape shape, Order order) {
  Value::Elements elements{std::move(dtype), std::move(shape), order, nullptr, nullptr};
  const std::string_view bytes = value.as_bytes();
  if (bytes.empty()) return elements;
  elements.storage = dynamic::node_as<dynamic::TextNode>(value).storage;
  if (elements.storage == nullptr) {
    elements.storage = allocate_storage(bytes.size(), Fill::none);
    std::memcpy(elements.storage->data(), bytes.data(), bytes.size());
  }
  elements.data = elements.storage->data();
  return elements;
}

/// The array whose axis i is axis `axes[i]` of a dense one, in C order.
Value::Elements with_axes(const Value::Elements& from, const Shape& axes) {
  const Strides strides = dense_strides(from.shape, Order::c);
  Shape shape;
  Strides walk;
  for (const std::size_t axis : axes) {
    shape.push_back(from.shape[axis]);
    walk.push_back(strides[axis]);
  }
  auto storage = allocate_storage(from.nbytes(), Fill::none);
  struct Context {
    const Value::Elements& from;
    std::byte* next;
  } context{from, storage->data()};
  for_each_offset(shape, walk, &context, [](void* raw, std::ptrdiff_t offset) {
    auto& c = *static_cast<Context*>(raw);
    const std::size_t size = c.from.dtype.itemsize;
    std::memcpy(c.next, c.from.data + static_cast<std::size_t>(offset) * size, size);
    c.next += size;
  });
  const std::byte* data = storage->data();
  return {from.dtype, std::move(shape), Order::c, std::move(storage), data};
}

Value from_buffer(const std::vector<Value>& a, Fail fail) {
  if ((a.size() != 4 && a.size() != 5) || a[3].kind() != dynamic::Kind::text)
    fail("no sound array");
  const DType& dtype = built_dtype(a[1], fail);
  Shape shape = shape_argument(a[2], fail);
  const Value bytes = bytes_value(a[0], fail);
  if (dtype.has_objects() || dynamic::checked_bytes(dtype, shape) != bytes.size()) {
    fail("an array's data have another size than its shape");
  }
  const std::string_view order = a[3].as_text();
  if (order == "K" && a.size() == 5) {
    const Shape axes = shape_argument(a[4], fail);
    Shape sorted = axes, all(shape.size());
    std::sort(sorted.begin(), sorted.end());
    std::iota(all.begin(), all.end(), std::size_t{0});
    if (sorted != all) fail("an array has impossible axes");
    return Value(with_axes(elements_in(bytes, dtype, std::move(shape), Order::c), axes));
  }
  if (order != "C" && order != "F") fail("an array has an impossible order");
  return Value(
      elements_in(bytes, dtype, std::move(shape), order == "F" ? Order::fortran : Order::c));
}

/// The unit of times, from the metadata of their dtype.
void set_unit(DType& dtype, const Value& metadata, Fail fail) {
  const bool pair = metadata.kind() == dynamic::Kind::tuple && metadata.items().size() == 2 &&
                    metadata.items()[1].kind() == dynamic::Kind::tuple &&
                    metadata.items()[1].items().size() == 4;
  if (!pair) fail("a dtype of times has no unit");
  const auto& unit = metadata.items()[1].items();
  const bool good = unit[1].kind() == dynamic::Kind::integer && unit[1].as_int() >= 1 &&
                    unit[1].as_int() <= 0x7FFFFFFF && unit[2].kind() == dynamic::Kind::integer &&
                    unit[2].as_int() == 1;
  if (!good) fail("a dtype of times has an impossible unit");
  dtype.unit = bytes_argument(unit[0], fail);
  dtype.unit_count = static_cast<std::uint32_t>(unit[1].as_int());
}

void set_fields(DType& dtype, const Value& names, const Value& fields, Fail fail) {
  if (dtype.kind != 'V' || fields.kind() != dynamic::Kind::dict ||
      (names.kind() != dynamic::Kind::tuple && names.kind() != dynamic::Kind::list)) {
    fail("a structured dtype is unsound");
  }
  if (names.items().size() > dynamic::max_dtype_fields)
    throw LimitExceeded("a dtype has too many fields");
  std::unordered_map<std::string_view, const Value*> by_name;
  for (const auto& [key, part] : fields.entries()) {
    if (key.kind() == dynamic::Kind::text) by_name[key.as_text()] = &part;
  }
  auto result = std::make_shared<std::vector<DType::Field>>();
  for (const Value& name : names.items()) {
    const auto found =
        name.kind() == dynamic::Kind::text ? by_name.find(name.as_text()) : by_name.end();
    if (found == by_name.end()) fail("a field of a dtype is missing");
    const Value& field = *found->second;
    if (field.kind() != dynamic::Kind::tuple || field.items().size() < 2 ||
        field.items().size() > 3) {
      fail("a field of a dtype is unsound");
    }
    const auto& part = field.items();
    if (part[1].kind() != dynamic::Kind::integer || part[1].as_int() < 0)
      fail("a field has no offset");
    auto& added = result->emplace_back();
    added.name = name.as_text();
    added.offset = static_cast<std::size_t>(part[1].as_int());
    added.type = built_dtype(part[0], fail);
    if (part.size() == 3 && part[2].kind() == dynamic::Kind::text) added.title = part[2].as_text();
  }
  dtype.fields = std::move(result);
}

}  // namespace

std::optional<Value> call_numpy(Token token, std::vector<Value>& a, Fail fail) {
  switch (token) {
    case Token::dtype: {
      const bool is_record = a.size() == 3 && as_token(a[0]) == Token::record;
      if (!is_record && (a.size() != 3 || a[0].kind() != dynamic::Kind::text)) {
        fail("no sound dtype");
      }
      auto node = std::make_shared<dynamic::DTypeNode>(
          formats::simple_dtype(is_record ? "V" : a[0].as_text()));
      node->built = false;
      return Value(std::shared_ptr<Value::Node>(std::move(node)));
    }
    case Token::reconstruct: {
      const auto type = a.size() == 3 ? as_token(a[0]) : std::nullopt;
      if (type != Token::ndarray && type != Token::matrix) fail("an array of an unknown class");
      return Value(Value::Elements{DType{.kind = '\0'}, {0}, Order::c, nullptr, nullptr});
    }
    case Token::scalar: {
      if (a.empty() || a.size() > 2) fail("no sound scalar");
      const DType& dtype = built_dtype(a[0], fail);
      std::string bytes = a.size() == 2 ? bytes_argument(a[1], fail) : std::string();
      if (a.size() == 1) bytes.resize(std::min<std::size_t>(dtype.itemsize, 4096));
      if (dtype.has_objects() || bytes.size() != dtype.itemsize) fail("no sound scalar");
      return Value::scalar(dtype, std::move(bytes));
    }
    case Token::frombuffer: return from_buffer(a, fail);
    default: return std::nullopt;
  }
}

void set_dtype_state(dynamic::DTypeNode& node, const Value& state, Fail fail) {
  if (node.built) fail("a dtype is built twice");
  if (state.kind() != dynamic::Kind::tuple ||
      (state.items().size() != 8 && state.items().size() != 9)) {
    fail("a dtype has a state of an unknown version");
  }
  const auto& t = state.items();
  if (t[0].kind() != dynamic::Kind::integer || (t[0].as_int() != 3 && t[0].as_int() != 4)) {
    fail("a dtype has a state of an unknown version");
  }
  DType dtype = node.dtype;
  if (t[1].kind() != dynamic::Kind::text || t[1].as_text().size() != 1 ||
      std::string_view("<>|=").find(t[1].as_text()[0]) == std::string_view::npos) {
    fail("a dtype has no byte order");
  }
  const bool ordered = dtype.kind != 'S' && dtype.kind != 'V' && dtype.kind != 'O';
  dtype.big_endian = ordered && t[1].as_text() == ">";
  const bool flexible = dtype.kind == 'S' || dtype.kind == 'U' || dtype.kind == 'V';
  if (flexible && t[5].kind() == dynamic::Kind::integer && t[5].as_int() >= 0) {
    const auto size = static_cast<std::size_t>(t[5].as_int());
    if (dtype.kind != 'V' && size != dtype.itemsize) fail("a dtype has two sizes");
    dtype.itemsize = size;
  }
  if (!t[2].is_none()) {
    const bool good =
        dtype.kind == 'V' && t[2].kind() == dynamic::Kind::tuple && t[2].items().size() == 2;
    if (!good) fail("a sub-array is unsound");
    dtype.base = std::make_shared<DType>(built_dtype(t[2].items()[0], fail));
    dtype.shape = shape_argument(t[2].items()[1], fail);
  } else if (!t[3].is_none()) {
    set_fields(dtype, t[3], t[4], fail);
  }
  if (t.size() == 9 && (dtype.kind == 'M' || dtype.kind == 'm')) set_unit(dtype, t[8], fail);
  try {
    dynamic::check_dtype(dtype);
  } catch (const LimitExceeded&) {
    throw;
  } catch (const DamagedData& error) {
    fail(error.what());
  }
  node.dtype = std::move(dtype);
  node.built = true;
}

void set_array_state(dynamic::ArrayNode& node, const Value& state, Fail fail) {
  if (!is_unbuilt(node)) fail("an array is built twice");
  if (state.kind() != dynamic::Kind::tuple || state.items().size() != 5)
    fail("an array has no sound state");
  const auto& t = state.items();
  const bool fortran_known =
      t[3].kind() == dynamic::Kind::boolean || t[3].kind() == dynamic::Kind::integer;
  if (t[0].kind() != dynamic::Kind::integer || !fortran_known) fail("an array has no sound state");
  Shape shape = shape_argument(t[1], fail);
  const DType& dtype = built_dtype(t[2], fail);
  const std::size_t bytes = dynamic::checked_bytes(dtype, shape);
  const bool fortran = t[3].kind() == dynamic::Kind::boolean ? t[3].as_bool() : t[3].as_int() != 0;
  const Order order = fortran ? Order::fortran : Order::c;
  if (dtype.has_objects()) {
    if (t[4].kind() != dynamic::Kind::list || t[4].items().size() != bytes / dtype.itemsize) {
      fail("an array of objects does not hold as many as its shape says");
    }
    node.items = t[4].items();
    node.elements = {dtype, std::move(shape), order, nullptr, nullptr};
    node.kind = dynamic::Kind::objects;
    return;
  }
  const Value data = bytes_value(t[4], fail);
  if (data.size() != bytes) fail("an array's data have another size than its shape");
  node.elements = elements_in(data, dtype, std::move(shape), order);
}

}  // namespace hoist::detail::pickle
