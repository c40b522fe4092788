// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/dtype.hpp>

#include <cstddef>
#include <optional>

#include "dynamic/schema_parser.hpp"

namespace hoist::detail::dynamic {

/// How elements of a type lie in an array, as the C++ ABI lays them out.
struct ElementLayout {
  DType dtype;
  std::size_t align = 1;
  bool block = true;  // a std::vector of them moves as one block
};

/// Nothing where the type can't be an array's element.
std::optional<ElementLayout> element_layout(const SchemaNode& node, int depth = 0);

/// A sub-array at the top of an element type becomes axes of the array: {base, further extents}.
std::pair<DType, Shape> flattened(const DType& dtype);

}  // namespace hoist::detail::dynamic
