// SPDX-License-Identifier: BSD-3-Clause
#include "json.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstdio>

#include "base/json_text.hpp"

namespace hoist::tool {

void Json::separate() {
  if (!first_) text_ += ',';
  first_ = false;
}

Json& Json::begin(char bracket) {
  separate();
  text_ += bracket;
  first_ = true;
  return *this;
}

Json& Json::end(char bracket) {
  text_ += bracket;
  first_ = false;
  return *this;
}

Json& Json::key(std::string_view name) {
  separate();
  text_ += detail::base::json_text(name);
  text_ += ':';
  first_ = true;
  return *this;
}

Json& Json::raw(std::string_view text) {
  separate();
  text_ += text;
  return *this;
}

Json& Json::value(std::string_view text) {
  separate();
  text_ += detail::base::json_text(text);
  return *this;
}

Json& Json::value(double number) {
  return raw(std::isfinite(number) ? fmt::format("{}", number) : "null");
}

void Json::print() const {
  std::fwrite(text_.data(), 1, text_.size(), stdout);
  std::fputc('\n', stdout);
}

}  // namespace hoist::tool
