// SPDX-License-Identifier: BSD-3-Clause
#include "dynamic/schema_types.hpp"

#include <algorithm>
#include <limits>

namespace hoist::detail::dynamic {

namespace {

constexpr int max_depth_of_elements = 16;
constexpr std::size_t max_itemsize = std::numeric_limits<std::int32_t>::max();

DType simple(char kind, std::size_t bytes) { return {.kind = kind, .itemsize = bytes}; }

std::optional<ElementLayout> structure_layout(const SchemaNode& node, int depth) {
  if (node.parts.empty()) return std::nullopt;
  auto fields = std::make_shared<std::vector<DType::Field>>();
  ElementLayout all;
  std::size_t end = 0;
  std::size_t used = 0;
  for (std::size_t i = 0; i < node.parts.size(); ++i) {
    const auto part = element_layout(node.part(i), depth + 1);
    if (!part) return std::nullopt;
    const std::size_t offset = (end + part->align - 1) / part->align * part->align;
    fields->push_back({.name = node.names[i], .offset = offset, .type = part->dtype});
    end = offset + part->dtype.itemsize;
    used += part->dtype.itemsize;
    if (end > max_itemsize) return std::nullopt;
    all.align = std::max(all.align, part->align);
    all.block = all.block && part->block;
  }
  all.dtype.itemsize = (end + all.align - 1) / all.align * all.align;
  all.dtype.fields = std::move(fields);
  all.block = all.block && used == all.dtype.itemsize;
  return all;
}

}  // namespace

std::optional<ElementLayout> element_layout(const SchemaNode& node, int depth) {
  using Kind = SchemaNode::Kind;
  if (depth > max_depth_of_elements) return std::nullopt;
  switch (node.kind) {
    case Kind::boolean: return ElementLayout{simple('b', 1), 1, false};
    case Kind::integer:
    case Kind::natural:
      if (node.bytes == 16) return std::nullopt;
      return ElementLayout{simple(node.kind == Kind::integer ? 'i' : 'u', node.bytes), node.bytes,
                           true};
    case Kind::real:
      if (node.bytes > 8) return std::nullopt;
      return ElementLayout{simple('f', node.bytes), node.bytes, true};
    case Kind::complex:
      if (node.bytes > 16) return std::nullopt;
      return ElementLayout{simple('c', node.bytes), node.bytes / 2, true};
    case Kind::fixed_bytes: return ElementLayout{simple('S', node.count), 1, true};
    case Kind::fixed_text: return ElementLayout{simple('U', node.count * 4), 4, true};
    case Kind::fixed_list: {
      if (node.count == 0) return std::nullopt;
      auto part = element_layout(node.part(0), depth + 1);
      if (!part || node.count > max_itemsize / part->dtype.itemsize) return std::nullopt;
      DType array{.itemsize = part->dtype.itemsize * node.count};
      const auto [base, inner] = flattened(part->dtype);
      array.base = std::make_shared<DType>(base);
      array.shape = {node.count};
      array.shape.insert(array.shape.end(), inner.begin(), inner.end());
      part->dtype = std::move(array);
      return part;
    }
    case Kind::structure: return structure_layout(node, depth);
    default: return std::nullopt;
  }
}

std::pair<DType, Shape> flattened(const DType& dtype) {
  if (!dtype.base) return {dtype, {}};
  auto [base, inner] = flattened(*dtype.base);
  Shape shape = dtype.shape;
  shape.insert(shape.end(), inner.begin(), inner.end());
  return {base, shape};
}

}  // namespace hoist::detail::dynamic
