// SPDX-License-Identifier: BSD-3-Clause
#include "base/json_text.hpp"

#include <cstddef>

#include "base/utf8.hpp"

namespace hoist::detail::base {

std::string json_text(std::string_view text) {
  std::string json = "\"";
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const auto code = next_code_point(text, at);
    if (!code || (*code >= 0xD800 && *code < 0xE000)) {  // or a surrogate
      json += "\\ufffd";
      at = begin + 1;
    } else if (*code < 0x20) {
      json += *code < 0x10 ? "\\u000" : "\\u001";
      json += "0123456789abcdef"[*code & 15];
    } else {
      if (*code == '"' || *code == '\\') json += '\\';
      json += text.substr(begin, at - begin);
    }
  }
  json += '"';
  return json;
}

}  // namespace hoist::detail::base
