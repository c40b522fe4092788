// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/dtype.hpp>
#include <hoist/error.hpp>

#include <bit>
#include <cmath>

#include "dynamic/schema_parser.hpp"
#include "dynamic/schema_types.hpp"

namespace hoist {

Float16::Float16(float value) {
  const auto word = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((word >> 16) & 0x8000U);
  const std::uint32_t magnitude = word & 0x7FFFFFFFU;
  std::uint32_t half = 0;
  if (magnitude >= 0x47800000U) {  // too large for a half, infinite or NaN
    half = magnitude > 0x7F800000U ? 0x7E00U : 0x7C00U;
  } else if (magnitude < 0x38800000U) {  // a subnormal half, or zero: in units of 2^-24
    half = static_cast<std::uint32_t>(std::nearbyint(std::ldexp(std::fabs(value), 24)));
  } else {
    half = (magnitude - 0x38000000U) >> 13;
    const std::uint32_t rest = magnitude & 0x1FFFU;
    if (rest > 0x1000U || (rest == 0x1000U && (half & 1U) != 0)) ++half;
  }
  bits = static_cast<std::uint16_t>(sign | half);
}

Float16::operator float() const {
  const int exponent = (bits >> 10) & 0x1F;
  const float fraction = static_cast<float>(bits & 0x3FF);
  float value = 0;
  if (exponent == 31) {
    value = fraction == 0 ? std::numeric_limits<float>::infinity()
                          : std::numeric_limits<float>::quiet_NaN();
  } else if (exponent == 0) {
    value = std::ldexp(fraction, -24);
  } else {
    value = std::ldexp(fraction + 1024.0F, exponent - 25);
  }
  return (bits & 0x8000) != 0 ? -value : value;
}

DType DType::of_schema(const std::string& schema) {
  const detail::dynamic::ParsedSchema parsed(schema);
  const auto layout = detail::dynamic::element_layout(parsed.root());
  if (!layout) throw BadArgument("no array can have elements of type " + schema);
  return layout->dtype;
}

bool DType::has_objects() const {
  if (base) return base->has_objects();
  if (!fields) return kind == 'O';
  for (const Field& field : *fields) {
    if (field.type.has_objects()) return true;
  }
  return false;
}

int DType::depth() const {
  if (base) return 1 + base->depth();
  int deepest = 0;
  if (fields) {
    for (const Field& field : *fields) deepest = std::max(deepest, 1 + field.type.depth());
  }
  return deepest;
}

std::string DType::text() const {
  if (base) {
    std::string extents;
    for (std::size_t extent : shape) {
      extents += (extents.empty() ? "" : ", ") + std::to_string(extent);
    }
    return base->text() + "[" + extents + "]";
  }
  if (fields) {
    std::string text = "{";
    std::size_t end = 0;
    for (const Field& field : *fields) {
      text += (text.size() > 1 ? ", " : "") + field.name + ": " + field.type.text();
      if (field.offset != end) text += " at " + std::to_string(field.offset);
      end = field.offset + field.type.itemsize;
    }
    if (end != itemsize) text += "; " + std::to_string(itemsize) + " bytes";
    return text + "}";
  }
  if (kind == 'O') return "|O";
  const bool no_order = kind == 'S' || kind == 'V' || itemsize == 1;
  std::string text(1, no_order ? '|' : big_endian ? '>' : '<');
  text += kind + std::to_string(kind == 'U' ? itemsize / 4 : itemsize);
  if ((kind == 'M' || kind == 'm') && unit != "generic") {
    text += "[" + (unit_count == 1 ? "" : std::to_string(unit_count)) + unit + "]";
  }
  return text;
}

bool operator==(const DType& a, const DType& b) {
  if (a.kind != b.kind || a.itemsize != b.itemsize || !a.fields != !b.fields ||
      !a.base != !b.base) {
    return false;
  }
  if (a.base) return a.shape == b.shape && *a.base == *b.base;
  if (!a.fields) {
    return (a.big_endian == b.big_endian || a.itemsize == 1) && a.unit == b.unit &&
           a.unit_count == b.unit_count;
  }
  if (a.fields->size() != b.fields->size()) return false;
  for (std::size_t i = 0; i < a.fields->size(); ++i) {
    const DType::Field &x = (*a.fields)[i], &y = (*b.fields)[i];
    if (x.name != y.name || x.offset != y.offset || !(x.type == y.type)) return false;
  }
  return true;
}

}  // namespace hoist
