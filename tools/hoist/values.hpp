// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/value.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// What commands that look at files have in common.

namespace hoist::tool {

/// The content of a file; its arrays are mapped where it isn't compressed, so that a large file is
/// opened at once.
Value open_value(const std::filesystem::path& path);

/// The part of a value that a path such as `weights[3].bias` leads to. Names are keys of dicts,
/// indices items, and rows of arrays. Throws NotFound, which names what there is.
Value part_of(const Value& value, std::string_view path);

/// Element i, in the order in which they are stored, of numbers and bools; nothing for others.
std::optional<double> number_at(const Value::Elements& array, std::size_t i);

struct Statistics {
  std::size_t counted = 0;  ///< elements looked at, all or a sample
  std::size_t nans = 0;
  double min = 0;
  double max = 0;
  double mean = 0;
  bool is_sample = false;
};
/// Of an array of numbers that isn't empty. Of large ones, blocks spread over it are looked at,
/// unless `all`.
std::optional<Statistics> statistics_of(const Value::Elements& array, bool all);

/// "<f8", "int64", ...: as NumPy would name it; and "100 x 3".
std::string dtype_text(const DType& dtype);
std::string shape_text(const Shape& shape);

/// What a value is, in a few words: "dict, 3 entries", "array of <f8, 100 x 3, 2.3 KiB".
std::string summary_of(const Value& value);

/// The children of a value with their names, as in a path: `.key` or `[index]`. At most `most`.
std::vector<std::pair<std::string, Value>> children_of(const Value& value, std::size_t most);
/// How many children it has.
std::size_t child_count(const Value& value);

}  // namespace hoist::tool
