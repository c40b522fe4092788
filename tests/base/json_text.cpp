// SPDX-License-Identifier: BSD-3-Clause
#include "base/json_text.hpp"

#include <doctest/doctest.h>

using hoist::detail::base::json_text;

TEST_CASE("a text in JSON keeps what is UTF-8, and has a mark for each other byte") {
  CHECK(json_text("") == R"("")");
  CHECK(json_text("a \"b\" \\") == R"("a \"b\" \\")");
  CHECK(json_text("\n\x1f\x7f") == "\"\\u000a\\u001f\x7f\"");
  CHECK(json_text("Zürich, 東京, 😀") == "\"Zürich, 東京, 😀\"");
  CHECK(json_text("\xff\xc3") == R"("\ufffd\ufffd")");
  CHECK(json_text("\xc3(") == R"("\ufffd(")");
  // An overlong slash, and a surrogate.
  CHECK(json_text("\xc0\xaf") == R"("\ufffd\ufffd")");
  CHECK(json_text("\xed\xa0\x80") == R"("\ufffd\ufffd\ufffd")");
}
