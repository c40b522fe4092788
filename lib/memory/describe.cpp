// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/arguments.hpp>

#include <cstdio>

namespace hoist::detail {

void summarise_number(std::string& to, long double value) {
  char text[48];
  std::snprintf(text, sizeof text, "%.9Lg", value);
  to += text;
}

void summarise_integer(std::string& to, long long value) { to += std::to_string(value); }
void summarise_integer(std::string& to, unsigned long long value) { to += std::to_string(value); }

void summarise_text(std::string& to, std::string_view value) {
  constexpr std::size_t longest = 60;
  to += '"';
  for (const char c : value.substr(0, longest)) {
    if (c == '"' || c == '\\') to += '\\';
    to += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  to += value.size() > longest ? "\"..." : "\"";
}

void summarise_elements(std::string& to, std::size_t count) {
  to += '{';
  to += std::to_string(count);
  to += " elements}";
}

void summarise_shape(std::string& to, const Shape& shape) {
  to += '[';
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) to += ',';
    to += std::to_string(shape[i]);
  }
  to += ']';
}

}  // namespace hoist::detail
