// SPDX-License-Identifier: BSD-3-Clause
#include "dynamic/schema_parser.hpp"

#include <hoist/error.hpp>

#include <charconv>

namespace hoist::detail::dynamic {

namespace {

using Kind = SchemaNode::Kind;
using NodePtr = std::unique_ptr<SchemaNode>;

constexpr int max_nesting = 200;
constexpr std::size_t max_parts = 100000;

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  NodePtr parse() {
    NodePtr root = type();
    if (at_ != text_.size()) fail("there is more text behind it");
    return root;
  }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw DamagedData("no sound schema at position " + std::to_string(at_) + ": " + why);
  }
  bool accept(std::string_view token) {
    if (text_.substr(at_, token.size()) != token) return false;
    at_ += token.size();
    return true;
  }
  void expect(std::string_view token) {
    if (!accept(token)) fail("\"" + std::string(token) + "\" is missing");
  }
  std::size_t number() {
    std::size_t n = 0;
    const char* from = text_.data() + at_;
    const auto [end, error] = std::from_chars(from, text_.data() + text_.size(), n);
    if (error != std::errc{}) fail("a number is missing");
    at_ += static_cast<std::size_t>(end - from);
    return n;
  }
  void part(SchemaNode& of) { of.parts.push_back(type()); }

  NodePtr type() {
    if (++nesting_ > max_nesting || ++made_ > max_parts) {
      throw LimitExceeded("a schema nests too deep or has too many parts");
    }
    auto node = std::make_unique<SchemaNode>();
    const std::size_t from = at_;
    node->at = from;
    if (!composite(*node)) scalar(*node);
    node->text = text_.substr(from, at_ - from);
    --nesting_;
    return node;
  }

  bool composite(SchemaNode& node) {
    if (accept("[")) {
      part(node);
      node.kind = accept(";") ? Kind::fixed_list : Kind::list;
      if (node.kind == Kind::fixed_list) node.count = number();
      expect("]");
    } else if (accept("{")) {
      part(node);
      node.kind = accept(":") ? Kind::map : Kind::set;
      if (node.kind == Kind::map) part(node);
      expect("}");
    } else if (accept("(")) {
      node.kind = Kind::tuple;
      sequence(node, ",", ")");
    } else if (accept("<")) {
      node.kind = Kind::variant;
      sequence(node, "|", ">");
      if (node.parts.empty()) fail("a variant has no alternative");
    } else if (accept("?")) {
      node.kind = Kind::maybe;
      part(node);
    } else if (accept("&")) {
      node.kind = Kind::shared;
      part(node);
    } else if (accept("object(")) {
      node.kind = Kind::object;
      open_.push_back(&node);
      sequence(node, ",", ")");
      open_.pop_back();
    } else if (accept("struct{")) {
      structure(node);
    } else if (accept("array<")) {
      node.kind = Kind::array;
      part(node);
      expect(">");
    } else if (accept("duration<")) {
      node.kind = Kind::quantity;
      part(node);
      expect(",");
      number();
      expect("/");
      number();
      expect(">");
    } else if (accept("time<")) {
      node.kind = Kind::quantity;
      part(node);
      expect(">");
    } else if (accept("^")) {
      node.kind = Kind::back;
      const std::size_t up = number();
      if (up >= open_.size()) fail("a back reference leads nowhere");
      node.target = open_[open_.size() - 1 - up];
    } else {
      return false;
    }
    return true;
  }

  void sequence(SchemaNode& node, std::string_view between, std::string_view end) {
    if (accept(end)) return;
    do {
      part(node);
    } while (accept(between));
    expect(end);
  }

  void structure(SchemaNode& node) {
    node.kind = Kind::structure;
    open_.push_back(&node);
    if (!accept("}")) {
      do {
        const std::size_t colon = text_.find(':', at_);
        if (colon == std::string_view::npos) fail("a member has no type");
        node.names.emplace_back(text_.substr(at_, colon - at_));
        at_ = colon + 1;
        part(node);
      } while (accept(","));
      expect("}");
    }
    open_.pop_back();
  }

  void scalar(SchemaNode& node) {
    struct Name {
      std::string_view text;
      Kind kind;
      std::size_t bytes;
    };
    static constexpr Name names[] = {
        {"bool", Kind::boolean, 1},  {"i8", Kind::integer, 1},    {"i16", Kind::integer, 2},
        {"i32", Kind::integer, 4},   {"i64", Kind::integer, 8},   {"u8", Kind::natural, 1},
        {"u16", Kind::natural, 2},   {"u32", Kind::natural, 4},   {"u64", Kind::natural, 8},
        {"f16", Kind::real, 2},      {"f32", Kind::real, 4},      {"f64", Kind::real, 8},
        {"f80", Kind::real, 10},     {"c64", Kind::complex, 8},   {"c128", Kind::complex, 16},
        {"c160", Kind::complex, 20}, {"str", Kind::text, 0},      {"none", Kind::none, 0},
        {"value", Kind::value, 0},   {"i128", Kind::integer, 16}, {"u128", Kind::natural, 16},
        {"any", Kind::any, 0},       {"f128", Kind::real, 16},    {"c256", Kind::complex, 32},
    };
    for (const Name& name : names) {
      if (accept(name.text)) {
        node.kind = name.kind;
        node.bytes = name.bytes;
        return;
      }
    }
    if (accept("S") || accept("U")) {
      node.kind = text_[at_ - 1] == 'S' ? Kind::fixed_bytes : Kind::fixed_text;
      node.count = number();
      if (node.count == 0 || node.count > (std::size_t{1} << 28)) fail("a length is out of range");
      return;
    }
    fail("no type begins here");
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int nesting_ = 0;
  std::size_t made_ = 0;
  std::vector<const SchemaNode*> open_;
};

}  // namespace

ParsedSchema::ParsedSchema(std::string text)
    : text_(std::make_unique<const std::string>(std::move(text))), root_(Parser(*text_).parse()) {}

}  // namespace hoist::detail::dynamic
