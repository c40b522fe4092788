// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <hoist/error.hpp>

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "commands.hpp"
#include "json.hpp"
#include "output.hpp"
#include "values.hpp"

namespace hoist::tool {

namespace {

using Kind = Value::Kind;
using Number = std::complex<double>;

struct Arguments {
  std::string a;
  std::string b;
  double tolerance = 0;
  bool json = false;
};

class Comparison {
 public:
  explicit Comparison(double tolerance) : tolerance_(tolerance) {}

  void compare(const Value& a, const Value& b, const std::string& path);

  std::string first_path;
  std::string first_text;
  std::uint64_t differences = 0;  ///< elements, and parts that only one has
  std::uint64_t compared = 0;
  double largest = 0;

 private:
  bool is_near(Number a, Number b) {
    const auto between = [](double x, double y) {
      return x == y || (std::isnan(x) && std::isnan(y)) ? 0 : x - y;
    };
    const double apart = std::hypot(between(a.real(), b.real()), between(a.imag(), b.imag()));
    if (apart == 0) return true;
    largest = std::max(largest, apart);  // as it is where one is NaN
    return std::isfinite(apart) && apart <= tolerance_ * std::max({1.0, std::abs(a), std::abs(b)});
  }
  void differ(const std::string& path, const std::string& text) {
    if (differences++ > 0) return;
    first_path = path;
    first_text = text;
  }
  void compare_arrays(const Value::Elements& a, const Value::Elements& b, const std::string& path);
  void compare_dicts(const Value& a, const Value& b, const std::string& path);
  void compare_items(const Value& a, const Value& b, const std::string& path);

  const double tolerance_;
};

bool is_sequence(const Value& value) {
  switch (value.kind()) {
    case Kind::list:
    case Kind::tuple:
    case Kind::objects: return true;
    default: return false;
  }
}

/// Truth values have no distance: they are equal or not.
bool is_number(const Value& value) {
  switch (value.kind()) {
    case Kind::integer:
    case Kind::natural:
    case Kind::real:
    case Kind::complex: return true;
    default: return false;
  }
}

/// Doubles tell their values apart.
bool is_floating(const Value& value) {
  return value.kind() == Kind::real || value.kind() == Kind::complex;
}

std::vector<std::size_t> indices_of(std::size_t i, const Value::Elements& array) {
  const bool reverse = array.order != Order::fortran;
  std::vector<std::size_t> indices(array.shape.size());
  for (std::size_t n = 0; n < indices.size(); ++n) {
    const std::size_t axis = reverse ? indices.size() - 1 - n : n;
    indices[axis] = i % array.shape[axis];
    i /= array.shape[axis];
  }
  return indices;
}

std::string index_text(std::size_t i, const Value::Elements& array) {
  std::string text;
  for (const std::size_t index : indices_of(i, array)) text += fmt::format("[{}]", index);
  return text;
}

/// Where the element that is the i-th of `from` is in `to`, which has the same shape.
std::size_t place_in(const Value::Elements& to, std::size_t i, const Value::Elements& from) {
  if (to.order == from.order || to.shape.size() < 2) return i;
  const auto indices = indices_of(i, from);
  const bool reverse = to.order != Order::fortran;
  std::size_t at = 0;
  std::size_t step = 1;
  for (std::size_t n = 0; n < indices.size(); ++n) {
    const std::size_t axis = reverse ? indices.size() - 1 - n : n;
    at += indices[axis] * step;
    step *= to.shape[axis];
  }
  return at;
}

/// Doubles don't tell all of them apart.
bool is_wide_integer(const DType& dtype) {
  return (dtype.kind == 'i' || dtype.kind == 'u') && dtype.itemsize == 8;
}

/// The i-th element as a complex number; nothing where the elements are no numbers.
std::optional<Number> complex_at(const Value::Elements& array, std::size_t i) {
  if (array.dtype.kind != 'c') return number_at(array, i);
  Value::Elements parts = array;
  parts.dtype.kind = 'f';
  parts.dtype.itemsize /= 2;
  const auto real = number_at(parts, 2 * i);
  if (!real) return std::nullopt;
  return Number(*real, *number_at(parts, 2 * i + 1));
}

std::string text_at(const Value::Elements& array, std::size_t i) {
  if (!is_wide_integer(array.dtype)) {
    const Number number = *complex_at(array, i);
    return array.dtype.kind == 'c' ? fmt::format("{}{:+}j", number.real(), number.imag())
                                   : fmt::format("{}", number.real());
  }
  const std::size_t size = array.dtype.itemsize;
  const Value one = Value::scalar(
      array.dtype, std::string(reinterpret_cast<const char*>(array.data + i * size), size));
  return array.dtype.kind == 'i' ? std::to_string(one.as_int()) : std::to_string(one.as_uint());
}

void Comparison::compare_arrays(const Value::Elements& a, const Value::Elements& b,
                                const std::string& path) {
  if (a.shape != b.shape) {
    return differ(path, fmt::format("{} against {}", shape_text(a.shape), shape_text(b.shape)));
  }
  if (dtype_text(a.dtype) != dtype_text(b.dtype)) {
    return differ(path, fmt::format("{} against {}", dtype_text(a.dtype), dtype_text(b.dtype)));
  }
  const std::size_t size = a.size();
  compared += size;
  if (size == 0) return;
  const bool same_order = a.order == b.order || a.shape.size() < 2;
  // The types, too: of structures and times the text doesn't tell all.
  if (same_order && a.dtype == b.dtype && std::memcmp(a.data, b.data, a.nbytes()) == 0) return;
  if (!complex_at(a, 0)) {
    if (!(Value(a) == Value(b))) differ(path, "the elements differ");
    return;
  }
  for (std::size_t i = 0; i < size; ++i) {
    const std::size_t k = place_in(b, i, a);
    const bool is_exact = tolerance_ == 0 && is_wide_integer(a.dtype);
    const bool near = is_near(*complex_at(a, i), *complex_at(b, k));
    if (near && (!is_exact || text_at(a, i) == text_at(b, k))) continue;
    differ(path + index_text(i, a), text_at(a, i) + " against " + text_at(b, k));
  }
}

bool is_set(const Value& value) {
  return value.kind() == Kind::set || value.kind() == Kind::frozen_set;
}

/// The same text for equal keys: what is in a set has no order.
std::string key_text(const Value& key) {
  if (!is_set(key) && key.kind() != Kind::tuple) return key.to_string(std::string::npos);
  std::vector<std::string> items;
  for (const Value& item : key.items()) items.push_back(key_text(item));
  if (is_set(key)) std::ranges::sort(items);
  return fmt::format("{}({})", is_set(key) ? "set" : "", fmt::join(items, ", "));
}

void Comparison::compare_dicts(const Value& a, const Value& b, const std::string& path) {
  const auto of_a = children_of(a, child_count(a));
  const auto of_b = children_of(b, child_count(b));
  // By the whole keys, of which names have the beginning.
  const auto key_of = [](const Value& dict, std::size_t i) {
    return key_text(dict.entries()[i].first);
  };
  std::map<std::string, std::size_t> others;
  for (std::size_t i = 0; i < of_b.size(); ++i) others.emplace(key_of(b, i), i);
  for (std::size_t i = 0; i < of_a.size(); ++i) {
    const auto& [name, child] = of_a[i];
    const auto other = others.find(key_of(a, i));
    if (other == others.end()) {
      differ(path + name, "only in the first");
    } else {
      compare(child, of_b[other->second].second, path + name);
      others.erase(other);
    }
  }
  for (const auto& [key, i] : others) differ(path + of_b[i].first, "only in the second");
}

void Comparison::compare_items(const Value& a, const Value& b, const std::string& path) {
  const std::size_t both = std::min(a.items().size(), b.items().size());
  for (std::size_t i = 0; i < both; ++i) {
    compare(a.items()[i], b.items()[i], fmt::format("{}[{}]", path, i));
  }
  if (a.items().size() == b.items().size()) return;
  differ(fmt::format("{}[{}]", path, both),
         fmt::format("{} against {} items", a.items().size(), b.items().size()));
}

void Comparison::compare(const Value& a, const Value& b, const std::string& path) {
  if (a.kind() == Kind::array && b.kind() == Kind::array) {
    return compare_arrays(a.elements(), b.elements(), path);
  }
  if (a.kind() == Kind::dict && b.kind() == Kind::dict) return compare_dicts(a, b, path);
  if (a.kind() == Kind::objects && b.kind() == Kind::objects && a.shape() != b.shape()) {
    return differ(path, fmt::format("{} against {}", shape_text(a.shape()), shape_text(b.shape())));
  }
  if (is_sequence(a) && is_sequence(b)) return compare_items(a, b, path);
  ++compared;
  if (is_number(a) && is_number(b)) {
    if (a == b) return;
    const bool near = is_near(a.as_complex(), b.as_complex());
    // Without a tolerance, NaN is near itself, and an integer near others that doubles hold as one.
    if (near && (tolerance_ > 0 || (a.kind() == b.kind() && is_floating(a)))) return;
    return differ(path, a.to_string(60) + " against " + b.to_string(60));
  }
  // As keys, NaN equals itself.
  if (a == b || (is_set(a) && is_set(b) && key_text(a) == key_text(b))) return;
  differ(path, a.to_string(60) + " against " + b.to_string(60));
}

void diff(const Arguments& arguments) {
  Comparison comparison(arguments.tolerance);
  comparison.compare(open_value(arguments.a), open_value(arguments.b), "");
  const bool equal = comparison.differences == 0;
  if (!equal) set_exit_code(differs);
  std::string path = comparison.first_path;
  if (path.starts_with('.')) path.erase(0, 1);
  if (path.empty()) path = "the value";
  if (arguments.json) {
    Json json;
    json.begin_object().member("equal", equal).member("differences", comparison.differences);
    json.member("compared", comparison.compared);
    json.member("largest_difference", comparison.largest);
    if (!equal) json.member("first", path).member("text", comparison.first_text);
    json.end_object().print();
  } else if (!equal) {
    fmt::print("{}: {}\n", bold(path), printable(comparison.first_text));
    fmt::print(
        "{} of {}{}\n", counted(comparison.differences, "difference", "differences"),
        counted(comparison.compared, "element", "elements"),
        comparison.largest > 0 ? fmt::format(", the largest is {:.6g}", comparison.largest) : "");
  }
}

}  // namespace

void add_diff(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand(
      "diff", "Compare the content of two files, whatever their formats and compression");
  command->add_option("A", arguments->a, "A file")->required();
  command->add_option("B", arguments->b, "Another one")->required();
  command
      ->add_option("--tolerance", arguments->tolerance,
                   "How far numbers may be apart, relative to the larger one if that is over 1")
      ->check([](const std::string& text) { return number_fault(text, 0, 1e300); });
  command->add_flag("--json", arguments->json, "As JSON");
  command->footer(
      "Silent, with exit code 0, if nothing differs; otherwise the first difference, how many\n"
      "there are, and exit code 1. NaN equals NaN; a list equals a tuple of the same items.\n\n"
      "Example:\n  hoist diff before.hoist after.npz --tolerance 1e-9");
  command->callback([arguments] { diff(*arguments); });
}

}  // namespace hoist::tool
