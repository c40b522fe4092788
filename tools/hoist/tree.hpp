// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/value.hpp>

#include <cstddef>
#include <string>

#include "json.hpp"

namespace hoist::tool {

struct TreeOptions {
  /// Items of each container, and elements of each array, that are shown.
  std::size_t head = 6;
  bool plot = false;
  /// Statistics of all elements, however many there are.
  bool all = false;
};

/// Prints a value to stdout as a tree: what it is, and what it consists of.
void print_tree(const std::string& name, const Value& value, const TreeOptions& options);
/// The same as JSON.
void write_tree(Json& json, const Value& value, const TreeOptions& options);

/// The first elements of an array as text: "[0, 0.5, 1, ...]".
std::string head_of(const Value::Elements& array, std::size_t head);
/// "min 0, max 1, mean 0.5", of numbers; empty for others.
std::string statistics_text(const Value::Elements& array, bool all);

}  // namespace hoist::tool
