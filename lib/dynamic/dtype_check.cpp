// SPDX-License-Identifier: BSD-3-Clause
#include "dynamic/dtype_check.hpp"

#include <hoist/error.hpp>

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>
#include <unordered_set>

namespace hoist::detail::dynamic {

namespace {

constexpr std::size_t max_itemsize = std::numeric_limits<std::int32_t>::max();
/// Elements of no size prove nothing by being there.
constexpr std::size_t max_empty_elements = std::size_t{1} << 20;

constexpr std::array<std::string_view, 14> units{"Y",  "M",  "W",  "D",  "h",  "m",  "s",
                                                 "ms", "us", "ns", "ps", "fs", "as", "generic"};

bool size_fits(const DType& dtype) {
  const std::size_t n = dtype.itemsize;
  switch (dtype.kind) {
    case 'b': return n == 1;
    case 'i':
    case 'u': return n == 1 || n == 2 || n == 4 || n == 8;
    case 'f': return n == 2 || n == 4 || n == 8 || n == 16;
    case 'c': return n == 8 || n == 16 || n == 32;
    case 'M':
    case 'm':
      return n == 8 && dtype.unit_count >= 1 &&
             std::find(units.begin(), units.end(), dtype.unit) != units.end();
    case 'U': return n % 4 == 0;
    case 'O': return n == 8;
    case 'S':
    case 'V': return true;
    default: return false;
  }
}

void count_parts(const DType& dtype, std::size_t& n) {
  if (++n > max_dtype_parts) return;
  if (dtype.base) count_parts(*dtype.base, n);
  if (!dtype.fields) return;
  for (const auto& field : *dtype.fields) {
    if (n > max_dtype_parts) return;
    count_parts(field.type, n);
  }
}

}  // namespace

std::size_t dtype_parts(const DType& dtype) {
  std::size_t n = 0;
  count_parts(dtype, n);
  return n;
}

void check_dtype(const DType& dtype) {
  if (!size_fits(dtype)) throw DamagedData("there is no dtype like " + dtype.text());
  if (dtype.itemsize > max_itemsize) throw LimitExceeded("elements of more than 2 GiB");
  if ((dtype.fields || dtype.base) && dtype.kind != 'V') {
    throw DamagedData("a dtype of kind " + std::string(1, dtype.kind) + " can't have parts");
  }
  // Before any other walk: a few shared parts can stand for more than can ever be visited.
  if (dtype_parts(dtype) > max_dtype_parts) throw LimitExceeded("a dtype has too many parts");
  if (dtype.depth() > max_dtype_depth) throw LimitExceeded("a dtype nests too deep");
  if (dtype.base && checked_bytes(*dtype.base, dtype.shape) != dtype.itemsize) {
    throw DamagedData("a sub-array's size does not fit its shape");
  }
  if ((dtype.fields || dtype.base) && dtype.has_objects()) {
    throw DamagedData("structured elements hold Python objects, which can't be read");
  }
  if (!dtype.fields) return;
  if (dtype.fields->size() > max_dtype_fields) throw LimitExceeded("a dtype has too many fields");
  std::unordered_set<std::string_view> seen;
  for (const auto& field : *dtype.fields) {
    if (!seen.insert(field.name).second) throw DamagedData("two fields of a dtype have one name");
    if (field.offset > dtype.itemsize || dtype.itemsize - field.offset < field.type.itemsize) {
      throw DamagedData("a field lies outside its structure");
    }
  }
}

std::size_t checked_bytes(const DType& dtype, const Shape& shape) {
  if (shape.size() > max_dimensions) throw LimitExceeded("an array has too many dimensions");
  try {
    const std::size_t n = checked_elements(shape, std::max<std::size_t>(dtype.itemsize, 1));
    if (dtype.itemsize == 0 && n > max_empty_elements) {
      throw LimitExceeded("an array of " + std::to_string(n) + " empty elements");
    }
    return n * dtype.itemsize;
  } catch (const BadArgument& error) {
    throw LimitExceeded(error.what());
  }
}

}  // namespace hoist::detail::dynamic
