// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace hoist::tool {

/// Writes JSON, member by member:
///
///     Json json;
///     json.begin_object();
///     json.member("items", 3);
///     json.key("names").begin_array();
///     ...
class Json {
 public:
  Json& begin_object() { return begin('{'); }
  Json& end_object() { return end('}'); }
  Json& begin_array() { return begin('['); }
  Json& end_array() { return end(']'); }
  Json& key(std::string_view name);
  Json& value(std::string_view text);
  Json& value(const char* text) { return value(std::string_view(text)); }
  Json& value(const std::string& text) { return value(std::string_view(text)); }
  Json& value(std::same_as<bool> auto truth) { return raw(truth ? "true" : "false"); }
  Json& value(std::integral auto number)
    requires(!std::same_as<decltype(number), bool>)
  {
    return raw(std::to_string(number));
  }
  /// What is no finite number is null.
  Json& value(double number);
  template <class T>
  Json& member(std::string_view name, const T& content) {
    return key(name).value(content);
  }

  const std::string& text() const noexcept { return text_; }
  /// Writes it to stdout, with a line break.
  void print() const;

 private:
  Json& begin(char bracket);
  Json& end(char bracket);
  Json& raw(std::string_view text);
  void separate();

  std::string text_;
  bool first_ = true;
};

}  // namespace hoist::tool
