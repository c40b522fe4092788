// SPDX-License-Identifier: BSD-3-Clause
#include "dynamic/schema_parser.hpp"

#include <doctest/doctest.h>
#include <hoist/error.hpp>

#include <string>

using hoist::DamagedData;
using hoist::LimitExceeded;
using hoist::detail::dynamic::ParsedSchema;
using Kind = hoist::detail::dynamic::SchemaNode::Kind;

namespace {

std::string repeated(const std::string& text, std::size_t n) {
  std::string all;
  for (; n > 0; --n) all += text;
  return all;
}

}  // namespace

TEST_CASE("a schema becomes a tree whose nodes know their part of the text") {
  const ParsedSchema schema("struct{name:str,points:[(f64,f64)],by id:{u16:?&i8}}");
  const auto& root = schema.root();
  REQUIRE(root.kind == Kind::structure);
  CHECK(root.names == std::vector<std::string>{"name", "points", "by id"});
  CHECK(root.part(0).kind == Kind::text);
  CHECK(root.part(1).kind == Kind::list);
  CHECK(root.part(1).part(0).kind == Kind::tuple);
  CHECK(root.part(1).part(0).text == "(f64,f64)");
  CHECK(root.part(1).part(0).part(1).bytes == 8);
  const auto& map = root.part(2);
  REQUIRE(map.kind == Kind::map);
  CHECK(map.part(0).kind == Kind::natural);
  CHECK(map.part(0).bytes == 2);
  CHECK(map.part(1).kind == Kind::maybe);
  CHECK(map.part(1).part(0).kind == Kind::shared);
  CHECK(map.part(1).part(0).part(0).kind == Kind::integer);
}

TEST_CASE("counts and alternatives of a schema are read") {
  CHECK(ParsedSchema("[u8;12]").root().kind == Kind::fixed_list);
  CHECK(ParsedSchema("[u8;12]").root().count == 12);
  CHECK(ParsedSchema("U16").root().kind == Kind::fixed_text);
  CHECK(ParsedSchema("U16").root().count == 16);
  CHECK(ParsedSchema("<i32|none>").root().parts.size() == 2);
  CHECK(ParsedSchema("()").root().parts.empty());
  CHECK(ParsedSchema("duration<i64,1/1000>").root().kind == Kind::quantity);
}

TEST_CASE("a back reference leads to the structure around it, also after the schema has moved") {
  ParsedSchema first("struct{value:i32,next:?struct{back:^1,self:^0}}");
  const ParsedSchema schema = std::move(first);
  const auto& root = schema.root();
  const auto& inner = root.part(1).part(0);
  CHECK(&inner.part(0) == &root);
  CHECK(&inner.part(1) == &inner);
  CHECK(root.text.starts_with("struct{value"));
}

TEST_CASE("text that is no schema is damaged data") {
  for (const char* text : {"",           "i",
                           "i3",         "i32 ",
                           "[i32",       "[i32;]",
                           "[i32;x]",    "{str:}",
                           "(i32,)",     "<>",
                           "struct{a}",  "struct{a:i32",
                           "array<>",    "duration<i64,1000>",
                           "S0",         "S99999999999999999999",
                           "^0",         "struct{a:^1}",
                           "object(i32", "?",
                           "i32i32"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(ParsedSchema{text}, DamagedData);
  }
}

TEST_CASE("a schema neither nests too deep nor has too many parts") {
  CHECK_NOTHROW(ParsedSchema(repeated("[", 199) + "i8" + repeated("]", 199)));
  CHECK_THROWS_AS(ParsedSchema(repeated("[", 200) + "i8" + repeated("]", 200)), LimitExceeded);
  CHECK_THROWS_AS(ParsedSchema(repeated("?", 1000000)), LimitExceeded);
  CHECK_THROWS_AS(ParsedSchema(std::string("(").append(repeated("i8,", 100000)).append("i8)")),
                  LimitExceeded);
}
