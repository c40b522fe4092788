// SPDX-License-Identifier: BSD-3-Clause
#include "tree.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "output.hpp"
#include "values.hpp"

namespace hoist::tool {

namespace {

using Kind = Value::Kind;

constexpr std::size_t plot_columns = 60;
constexpr std::size_t plot_rows = 16;
/// Elements looked at for one column of a plot.
constexpr std::size_t plot_samples = 64;
constexpr std::array<const char*, 8> bars = {"\u2581", "\u2582", "\u2583", "\u2584",
                                             "\u2585", "\u2586", "\u2587", "\u2588"};
constexpr std::array<const char*, 5> shades = {" ", "\u2591", "\u2592", "\u2593", "\u2588"};
constexpr const char* branch = "├─ ";
constexpr const char* last_branch = "└─ ";
constexpr const char* trunk = "│  ";

/// The mean of some elements out of a range of them; NaN where there is none.
double mean_of(const Value::Elements& array, std::size_t from, std::size_t to) {
  const std::size_t step = std::max<std::size_t>(1, (to - from) / plot_samples);
  double sum = 0;
  std::size_t n = 0;
  for (std::size_t i = from; i < to; i += step) {
    const double x = number_at(array, i).value_or(std::nan(""));
    if (std::isfinite(x)) {
      sum += x;
      ++n;
    }
  }
  return n == 0 ? std::nan("") : sum / static_cast<double>(n);
}

template <std::size_t n>
const char* mark(const std::array<const char*, n>& marks, double x, double min, double max) {
  if (!std::isfinite(x)) return " ";
  if (max <= min) return marks[n / 2];
  const auto at = static_cast<std::size_t>((x - min) / (max - min) * static_cast<double>(n));
  return marks[std::min(at, n - 1)];
}

template <std::size_t n>
std::string line_of(const std::vector<double>& means, const std::array<const char*, n>& marks,
                    double min, double max) {
  std::string line;
  for (const double x : means) line += mark(marks, x, min, max);
  return line;
}

struct Range {
  double min = std::numeric_limits<double>::infinity();
  double max = -std::numeric_limits<double>::infinity();
};
Range range_of(const std::vector<double>& means) {
  Range range;
  for (const double x : means) {
    if (!std::isfinite(x)) continue;
    range.min = std::min(range.min, x);
    range.max = std::max(range.max, x);
  }
  return range;
}

/// A line for one dimension, a heat map for two.
std::vector<std::string> plot_of(const Value::Elements& array) {
  if (array.size() == 0 || !number_at(array, 0)) return {};
  const bool is_map = array.shape.size() == 2 && array.order == Order::c && array.shape[0] > 1;
  const std::size_t rows = is_map ? std::min(array.shape[0], plot_rows) : 1;
  const std::size_t columns = std::min(is_map ? array.shape[1] : array.size(), plot_columns);
  const std::size_t width = is_map ? array.shape[1] : array.size();
  std::vector<std::vector<double>> means(rows);
  Range range;
  for (std::size_t row = 0; row < rows; ++row) {
    const std::size_t start = is_map ? row * array.shape[0] / rows * width : 0;
    for (std::size_t i = 0; i < columns; ++i) {
      means[row].push_back(
          mean_of(array, start + i * width / columns, start + (i + 1) * width / columns));
    }
    const Range own = range_of(means[row]);
    range = {std::min(range.min, own.min), std::max(range.max, own.max)};
  }
  std::vector<std::string> lines;
  for (const auto& row : means) {
    lines.push_back(is_map ? line_of(row, shades, range.min, range.max)
                           : line_of(row, bars, range.min, range.max));
  }
  return lines;
}

/// What follows the summary on the same line: short values themselves.
std::string content_of(const Value& value, const TreeOptions& options) {
  switch (value.kind()) {
    case Kind::list:
    case Kind::tuple:
    case Kind::set:
    case Kind::frozen_set:
    case Kind::dict:
    case Kind::objects:
    case Kind::none: return {};
    case Kind::array: return statistics_text(value.elements(), options.all);
    default: return printable(value.to_string(200));
  }
}

void print_below(const Value& value, const std::string& indent, const TreeOptions& options) {
  if (value.kind() == Kind::array) {
    const Value::Elements& array = value.elements();
    if (array.size() == 0) return;
    fmt::print("{}{}\n", indent, faint(printable(head_of(array, options.head))));
    if (!options.plot) return;
    for (const std::string& line : plot_of(array)) fmt::print("{}{}\n", indent, line);
    return;
  }
  const auto children = children_of(value, options.head);
  const std::size_t left = child_count(value) - children.size();
  for (std::size_t i = 0; i < children.size(); ++i) {
    const bool is_last = i + 1 == children.size() && left == 0;
    const auto& [name, child] = children[i];
    const std::string text = content_of(child, options);
    fmt::print("{}{}{}  {}{}\n", indent, is_last ? last_branch : branch,
               bold(name.starts_with('.') ? name.substr(1) : name), summary_of(child),
               text.empty() ? "" : ": " + text);
    print_below(child, indent + (is_last ? "   " : trunk), options);
  }
  if (left > 0) {
    fmt::print("{}{}{}\n", indent, last_branch, faint(fmt::format("{} more", count_text(left))));
  }
}

}  // namespace

std::string head_of(const Value::Elements& array, std::size_t head) {
  Value::Elements first = array;
  const std::size_t count = std::min(head, array.size());
  first.shape = {count};
  first.order = Order::c;
  // "array(<f8, (3,), [0, 1, 2])"; a dtype may have brackets of its own.
  const std::string front = fmt::format("array({}, ({},), ", first.dtype.text(), count);
  std::string text = Value(std::move(first)).to_string(1000);
  if (text.starts_with(front) && text.ends_with(')')) {
    text = text.substr(front.size(), text.size() - front.size() - 1);
  }
  if (count < array.size() && text.ends_with(']')) {
    text.pop_back();
    text += ", ...]";
  }
  return text;
}

std::string statistics_text(const Value::Elements& array, bool all) {
  const auto found = statistics_of(array, all);
  if (!found) return {};
  std::string text =
      fmt::format("min {:.6g}, max {:.6g}, mean {:.6g}", found->min, found->max, found->mean);
  if (found->nans > 0) text += fmt::format(", {}", counted(found->nans, "NaN", "NaNs"));
  if (found->is_sample) text += fmt::format(" (of {} elements)", count_text(found->counted));
  return text;
}

void print_tree(const std::string& name, const Value& value, const TreeOptions& options) {
  const std::string text = content_of(value, options);
  fmt::print("{}  {}{}\n", bold(name), summary_of(value), text.empty() ? "" : ": " + text);
  print_below(value, "", options);
}

void write_tree(Json& json, const Value& value, const TreeOptions& options) {
  json.begin_object().member("kind", value.kind_name()).member("summary", summary_of(value));
  if (value.kind() == Kind::array) {
    const Value::Elements& array = value.elements();
    json.member("dtype", dtype_text(array.dtype)).member("bytes", array.nbytes());
    json.key("shape").begin_array();
    for (const std::size_t extent : array.shape) json.value(extent);
    json.end_array().member("head", array.size() == 0 ? "[]" : head_of(array, options.head));
    if (const auto found = statistics_of(array, options.all)) {
      json.member("min", found->min).member("max", found->max).member("mean", found->mean);
      json.member("nans", found->nans).member("counted", found->counted);
    }
  } else if (child_count(value) > 0 || value.kind() == Kind::dict) {
    json.member("size", child_count(value)).key("items").begin_array();
    for (const auto& [name, child] : children_of(value, options.head)) {
      json.begin_object().member("name", name).key("value");
      write_tree(json, child, options);
      json.end_object();
    }
    json.end_array();
  } else if (value.kind() == Kind::boolean) {
    json.member("value", value.as_bool());
  } else if (value.kind() == Kind::integer) {
    json.member("value", value.as_int());
  } else if (value.kind() == Kind::real) {
    json.member("value", value.as_double());
  } else if (value.kind() != Kind::none) {
    json.member("value",
                value.kind() == Kind::text ? std::string(value.as_text()) : value.to_string(10000));
  }
  json.end_object();
}

}  // namespace hoist::tool
