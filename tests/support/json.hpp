// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace support {

/// The part of JSON that the tests' own data use. Numbers are kept as text.
struct Json {
  enum class Kind { null, boolean, number, text, array, object } kind = Kind::null;
  std::string text;  // of numbers, text and bools
  std::vector<Json> items;
  std::map<std::string, Json> members;

  bool has(const std::string& name) const { return members.count(name) != 0; }
  const Json& operator[](const std::string& name) const {
    const auto found = members.find(name);
    if (found == members.end()) throw std::runtime_error("no member " + name);
    return found->second;
  }
  bool is_text() const { return kind == Kind::text; }
  long number() const { return std::stol(text); }

  static Json parse(std::string_view source) {
    std::size_t at = 0;
    return parse(source, at);
  }

 private:
  static char peek(std::string_view s, std::size_t& at) {
    while (at < s.size() && std::string_view(" \n\r\t").find(s[at]) != std::string_view::npos) ++at;
    if (at == s.size()) throw std::runtime_error("the JSON is cut short");
    return s[at];
  }

  static void append(std::string& out, unsigned code) {
    const auto push = [&](unsigned byte) { out += static_cast<char>(byte); };
    if (code < 0x80) {
      push(code);
    } else if (code < 0x800) {
      push(0xC0 | (code >> 6));
      push(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
      push(0xE0 | (code >> 12));
      push(0x80 | ((code >> 6) & 0x3F));
      push(0x80 | (code & 0x3F));
    } else {
      push(0xF0 | (code >> 18));
      push(0x80 | ((code >> 12) & 0x3F));
      push(0x80 | ((code >> 6) & 0x3F));
      push(0x80 | (code & 0x3F));
    }
  }

  static std::string string(std::string_view s, std::size_t& at) {
    std::string out;
    ++at;
    while (s.at(at) != '"') {
      if (s[at] != '\\') {
        out += s[at++];
        continue;
      }
      const char c = s.at(at + 1);
      at += 2;
      static constexpr std::string_view from = "nrtbf", to = "\n\r\t\b\f";
      if (const auto i = from.find(c); i != std::string_view::npos) {
        out += to[i];
      } else if (c == 'u') {
        const auto unit = [&] {
          const auto code = std::stoul(std::string(s.substr(at, 4)), nullptr, 16);
          at += 4;
          return static_cast<unsigned>(code);
        };
        unsigned code = unit();
        if (code >= 0xD800 && code < 0xDC00 && s.substr(at, 2) == "\\u") {
          at += 2;
          code = 0x10000 + ((code - 0xD800) << 10) + (unit() - 0xDC00);
        }
        append(out, code);
      } else {
        out += c;
      }
    }
    ++at;
    return out;
  }

  static Json parse(std::string_view s, std::size_t& at) {
    Json json;
    const char c = peek(s, at);
    if (c == '{' || c == '[') {
      json.kind = c == '{' ? Kind::object : Kind::array;
      const char close = c == '{' ? '}' : ']';
      ++at;
      while (peek(s, at) != close) {
        if (c == '{') {
          std::string name = string(s, at);
          if (peek(s, at) != ':') throw std::runtime_error("JSON: a colon is missing");
          ++at;
          json.members[name] = parse(s, at);
        } else {
          json.items.push_back(parse(s, at));
        }
        if (peek(s, at) == ',') ++at;
      }
      ++at;
    } else if (c == '"') {
      json.kind = Kind::text;
      json.text = string(s, at);
    } else {
      const std::size_t end = s.find_first_of(",]} \n\r\t", at);
      json.text = s.substr(at, end - at);
      json.kind = json.text == "null"                           ? Kind::null
                  : json.text == "true" || json.text == "false" ? Kind::boolean
                                                                : Kind::number;
      at = std::min(end, s.size());
    }
    return json;
  }
};

}  // namespace support
