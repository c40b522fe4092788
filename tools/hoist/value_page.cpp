// SPDX-License-Identifier: BSD-3-Clause
#include "value_page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "html.hpp"
#include "output.hpp"
#include "values.hpp"

namespace hoist::tool {

namespace {

constexpr std::string_view style = R"css(
  details, .leaf { margin-left: 1.2rem; border-left: 1px solid var(--line); padding-left: .6rem; }
  summary { cursor: pointer; }
  code { font: 13px/1.5 ui-monospace, monospace; }
  svg { display: block; width: 100%; max-width: 40rem; height: 3rem; }
  polyline { fill: none; stroke: var(--mark); stroke-width: 1.5;
             vector-effect: non-scaling-stroke; }
)css";

/// At most 200 elements, spread over the array, as a line.
std::string line_of(const Value::Elements& array) {
  const std::size_t size = array.size();
  if (size < 3 || !number_at(array, 0)) return {};
  const std::size_t points = std::min<std::size_t>(size, 200);
  std::vector<std::pair<std::size_t, double>> values;
  double min = 0;
  double max = 0;
  for (std::size_t i = 0; i < points; ++i) {
    const double x = number_at(array, i * (size - 1) / (points - 1)).value_or(std::nan(""));
    if (!std::isfinite(x)) continue;
    min = values.empty() ? x : std::min(min, x);
    max = values.empty() ? x : std::max(max, x);
    values.emplace_back(i, x);
  }
  if (max <= min) return {};
  std::string points_text;
  for (const auto& [i, x] : values) {
    points_text += fmt::format("{},{:.2f} ", i, 38 - (x - min) / (max - min) * 36);
  }
  return fmt::format(
      "<svg viewBox=\"0 0 {} 40\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"from "
      "{:.4g} "
      "to {:.4g}\"><polyline points=\"{}\"/></svg>\n",
      points - 1, min, max, points_text);
}

void append(std::string& page, const std::string& name, const Value& value,
            const TreeOptions& options, bool open) {
  const std::string title = fmt::format("<b>{}</b> <span class=\"faint\">{}</span>",
                                        escaped(name.starts_with('.') ? name.substr(1) : name),
                                        escaped(summary_of(value)));
  if (value.kind() == Value::Kind::array) {
    const Value::Elements& array = value.elements();
    page += fmt::format("<div class=\"leaf\">{} {}", title,
                        escaped(statistics_text(array, options.all)));
    if (array.size() > 0) {
      page += fmt::format("<br><code>{}</code>\n", escaped(head_of(array, options.head)));
      page += line_of(array);
    }
    page += "</div>\n";
    return;
  }
  const auto children = children_of(value, options.head);
  if (children.empty()) {
    page += fmt::format("<div class=\"leaf\">{} <code>{}</code></div>\n", title,
                        value.is_none() ? "" : escaped(value.to_string(1000)));
    return;
  }
  page += fmt::format("<details{}><summary>{}</summary>\n", open ? " open" : "", title);
  for (const auto& [child_name, child] : children) {
    append(page, child_name, child, options, false);
  }
  const std::size_t left = child_count(value) - children.size();
  if (left > 0) page += fmt::format("<div class=\"leaf faint\">{} more</div>\n", count_text(left));
  page += "</details>\n";
}

}  // namespace

std::string value_page(const std::string& file, const std::string& description,
                       const std::string& name, const Value& value, const TreeOptions& options) {
  std::string page = fmt::format(R"page(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<style>{0}{1}</style>
<title>{2}</title>
<h1>{2}</h1>
<p class="faint">{3}</p>
<main>
)page",
                                 page_style, style, escaped(file), escaped(description));
  append(page, name, value, options, true);
  page += "</main>\n</html>\n";
  return page;
}

}  // namespace hoist::tool
