// SPDX-License-Identifier: BSD-3-Clause
#include "values.hpp"

#include <fmt/format.h>
#include <hoist/dump.hpp>
#include <hoist/error.hpp>

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <system_error>

#include "output.hpp"

namespace hoist::tool {

namespace {

using Kind = Value::Kind;

/// From this size on statistics are of a sample, unless all are asked for.
constexpr std::size_t sample_from = std::size_t{64} << 20;
/// So many blocks of so many elements: each costs a page from the disk at most.
constexpr std::size_t sample_blocks = 256;
constexpr std::size_t block_elements = 64;

template <class T>
double read_as(const std::byte* from, bool swap) {
  std::byte bytes[sizeof(T)];
  std::memcpy(bytes, from, sizeof(T));
  if (swap) std::reverse(bytes, bytes + sizeof(T));
  return static_cast<double>(std::bit_cast<T>(bytes));
}

template <>
double read_as<Float16>(const std::byte* from, bool swap) {
  std::byte bytes[2] = {from[0], from[1]};
  if (swap) std::swap(bytes[0], bytes[1]);
  Float16 half;
  std::memcpy(&half.bits, bytes, sizeof half.bits);
  return double{static_cast<float>(half)};
}

using ReadNumber = double (*)(const std::byte* from, bool swap);

ReadNumber reader_of(const DType& dtype) {
  const std::size_t size = dtype.itemsize;
  switch (dtype.kind) {
    case 'b': return size == 1 ? read_as<std::uint8_t> : nullptr;
    case 'i':
      return size == 1   ? read_as<std::int8_t>
             : size == 2 ? read_as<std::int16_t>
             : size == 4 ? read_as<std::int32_t>
             : size == 8 ? read_as<std::int64_t>
                         : nullptr;
    case 'u':
      return size == 1   ? read_as<std::uint8_t>
             : size == 2 ? read_as<std::uint16_t>
             : size == 4 ? read_as<std::uint32_t>
             : size == 8 ? read_as<std::uint64_t>
                         : nullptr;
    case 'f':
      return size == 2   ? read_as<Float16>
             : size == 4 ? read_as<float>
             : size == 8 ? read_as<double>
                         : nullptr;
    default: return nullptr;
  }
}

/// Reads little here and there: without this, the kernel would read as much around each place as if
/// the rest were next.
void expect_jumps(const Value::Elements& array) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto from = (reinterpret_cast<std::uintptr_t>(array.data) + page - 1) / page * page;
  const auto to = (reinterpret_cast<std::uintptr_t>(array.data) + array.nbytes()) / page * page;
  if (from < to) ::madvise(reinterpret_cast<void*>(from), to - from, MADV_RANDOM);
}

/// Rows begin one after another only in C order.
Value row_of(const Value& array, std::size_t index) {
  Value::Elements row = array.elements();
  const std::size_t rows = row.shape.empty() ? 0 : row.shape[0];
  if (index >= rows) {
    throw NotFound(fmt::format("there is no [{}]: the array has {} along its first axis", index,
                               row.shape.empty() ? "nothing" : std::to_string(rows)));
  }
  if (row.order != Order::c && row.shape.size() > 1) {
    throw BadArgument("the array is in Fortran order, in which a row is not in one piece");
  }
  const std::size_t bytes = row.nbytes() / rows;
  row.data += index * bytes;
  row.shape.erase(row.shape.begin());
  if (row.shape.empty()) {
    return Value::scalar(row.dtype, std::string(reinterpret_cast<const char*>(row.data), bytes));
  }
  return Value(std::move(row));
}

Value item_of(const Value& value, std::size_t index) {
  switch (value.kind()) {
    case Kind::list:
    case Kind::tuple:
    case Kind::set:
    case Kind::frozen_set:
    case Kind::objects:
      if (index < value.items().size()) return value.items()[index];
      throw NotFound(fmt::format("there is no [{}]: it has {}", index,
                                 counted(value.items().size(), "item", "items")));
    case Kind::array: return row_of(value, index);
    case Kind::dict:
      for (const auto& [key, content] : value.entries()) {
        if (key.kind() == Kind::integer && key.as_int() == static_cast<std::int64_t>(index)) {
          return content;
        }
      }
      [[fallthrough]];
    default: throw NotFound(fmt::format("there is no [{}]: it is {}", index, summary_of(value)));
  }
}

Value member_of(const Value& value, std::string_view name) {
  if (value.kind() == Kind::dict) {
    if (const Value* found = value.find(name)) return *found;
    std::string keys;
    for (const auto& [name_of, content] : children_of(value, 10)) keys += " " + name_of;
    throw NotFound(fmt::format("there is no .{}: the keys are{}{}", name, keys,
                               value.entries().size() > 10 ? " ..." : ""));
  }
  throw NotFound(fmt::format("there is no .{}: it is {}", name, summary_of(value)));
}

std::string key_name(const Value& key) {
  if (key.kind() != Kind::text) return "[" + printable(key.to_string(60)) + "]";
  return "." + printable(key.as_text());
}

}  // namespace

Value open_value(const std::filesystem::path& path) {
  // A pipe gives its bytes once: nothing may be tried on it.
  std::error_code ignored;
  if (std::filesystem::is_other(path, ignored)) return load<Value>(path);
  try {
    return load<Value>(path, {.mmap = MmapMode::read});
  } catch (const BadArgument&) {
    return load<Value>(path);  // what is compressed can't be mapped
  }
}

Value part_of(const Value& value, std::string_view path) {
  Value part = value;
  std::size_t at = 0;
  while (at < path.size()) {
    if (path[at] == '[') {
      const std::size_t end = path.find(']', at);
      std::size_t index = 0;
      const char* const last = path.data() + std::min(end, path.size());
      const auto [stop, error] = std::from_chars(path.data() + at + 1, last, index);
      if (end == std::string_view::npos || error != std::errc() || stop != last) {
        throw BadArgument("the path \"" + std::string(path) +
                          "\" has no index in its brackets: weights[3].bias is a path");
      }
      part = item_of(part, index);
      at = end + 1;
      continue;
    }
    if (path[at] == '.') ++at;
    const std::size_t end = std::min(path.find_first_of(".[", at), path.size());
    if (end == at) throw BadArgument("the path \"" + std::string(path) + "\" has an empty name");
    part = member_of(part, path.substr(at, end - at));
    at = end;
  }
  return part;
}

std::optional<double> number_at(const Value::Elements& array, std::size_t i) {
  const ReadNumber read = reader_of(array.dtype);
  if (read == nullptr) return std::nullopt;
  return read(array.data + i * array.dtype.itemsize, array.dtype.big_endian);
}

std::optional<Statistics> statistics_of(const Value::Elements& array, bool all) {
  const ReadNumber read = reader_of(array.dtype);
  const std::size_t size = array.size();
  if (read == nullptr || size == 0) return std::nullopt;
  Statistics found{.min = std::numeric_limits<double>::infinity(),
                   .max = -std::numeric_limits<double>::infinity()};
  double sum = 0;
  const auto look = [&](std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i) {
      const double x = read(array.data + i * array.dtype.itemsize, array.dtype.big_endian);
      ++found.counted;
      if (std::isnan(x)) {
        ++found.nans;
        continue;
      }
      found.min = std::min(found.min, x);
      found.max = std::max(found.max, x);
      sum += x;
    }
  };
  found.is_sample = !all && array.nbytes() > sample_from;
  if (found.is_sample) {
    expect_jumps(array);
    for (std::size_t i = 0; i < sample_blocks; ++i) {
      const std::size_t from = i * ((size - block_elements) / (sample_blocks - 1));
      look(from, from + block_elements);
    }
  } else {
    look(0, size);
  }
  const std::size_t numbers = found.counted - found.nans;
  found.mean =
      numbers == 0 ? std::numeric_limits<double>::quiet_NaN() : sum / static_cast<double>(numbers);
  if (numbers == 0) found.min = found.max = found.mean;
  return found;
}

std::string dtype_text(const DType& dtype) {
  switch (dtype.kind) {
    case 'b': return "bool";
    case 'i': return fmt::format("int{}", dtype.itemsize * 8);
    case 'u': return fmt::format("uint{}", dtype.itemsize * 8);
    case 'f': return fmt::format("float{}", dtype.itemsize * 8);
    case 'c': return fmt::format("complex{}", dtype.itemsize * 8);
    case 'S': return fmt::format("bytes of {}", dtype.itemsize);
    case 'U': return fmt::format("text of {}", dtype.itemsize / 4);
    case 'M': return "times in " + dtype.unit;
    case 'm': return "time spans in " + dtype.unit;
    case 'O': return "objects";
    default: return fmt::format("structures of {} bytes", dtype.itemsize);
  }
}

std::string shape_text(const Shape& shape) {
  std::string text;
  for (const std::size_t extent : shape) text += (text.empty() ? "" : " x ") + count_text(extent);
  return text.empty() ? "one element" : text;
}

std::string summary_of(const Value& value) {
  switch (value.kind()) {
    case Kind::none: return "none";
    case Kind::list: return "list of " + counted(value.size(), "item", "items");
    case Kind::tuple: return "tuple of " + counted(value.size(), "item", "items");
    case Kind::set:
    case Kind::frozen_set: return "set of " + counted(value.size(), "item", "items");
    case Kind::dict: return "dict of " + counted(value.entries().size(), "entry", "entries");
    case Kind::array: {
      const Value::Elements& array = value.elements();
      return fmt::format(
          "array of {}, {}, {}{}", dtype_text(array.dtype), shape_text(array.shape),
          bytes_text(array.nbytes()),
          array.order == Order::c || array.shape.size() < 2 ? "" : ", Fortran order");
    }
    case Kind::objects: return "array of objects, " + shape_text(value.shape());
    case Kind::text: return "text of " + counted(value.size(), "byte", "bytes");
    case Kind::bytes: return counted(value.as_bytes().size(), "byte", "bytes");
    default: return value.kind_name();
  }
}

std::size_t child_count(const Value& value) {
  switch (value.kind()) {
    case Kind::list:
    case Kind::tuple:
    case Kind::set:
    case Kind::frozen_set:
    case Kind::objects: return value.items().size();
    case Kind::dict: return value.entries().size();
    default: return 0;
  }
}

std::vector<std::pair<std::string, Value>> children_of(const Value& value, std::size_t most) {
  std::vector<std::pair<std::string, Value>> children;
  const std::size_t count = std::min(child_count(value), most);
  for (std::size_t i = 0; i < count; ++i) {
    if (value.kind() == Kind::dict) {
      const auto& [key, content] = value.entries()[i];
      children.emplace_back(key_name(key), content);
    } else {
      children.emplace_back(fmt::format("[{}]", i), value.items()[i]);
    }
  }
  return children;
}

}  // namespace hoist::tool
