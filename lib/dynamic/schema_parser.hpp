// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

// The grammar of schemas: docs/formats/schema.md.

namespace hoist::detail::dynamic {

/// A type as its schema describes it.
struct SchemaNode {
  enum class Kind : unsigned char {
    boolean,
    integer,      // bytes: 1, 2, 4, 8, or 16
    natural,      // bytes, unsigned
    real,         // bytes: 2, 4, 8, or those of a long double (extended.hpp)
    complex,      // bytes: 8, 16, or 20
    text,         // str
    fixed_bytes,  // count: S16
    fixed_text,   // count: U16
    none,
    value,
    any,         // an object that tells its class itself
    list,        // [T]
    fixed_list,  // [T;count]
    set,         // {T}
    map,         // {K:V}
    tuple,       // (A,B)
    object,      // object(A,B)
    variant,     // <A|B>
    maybe,       // ?T
    shared,      // &T
    structure,   // struct{name:T}
    array,       // array<T>
    quantity,    // duration<T,1/1000>, time<T>: encoded as T
    back,        // ^count, resolved: `target`
  };

  Kind kind{};
  std::size_t bytes = 0;
  std::size_t count = 0;
  std::vector<std::unique_ptr<SchemaNode>> parts;
  std::vector<std::string> names;  // of a structure's members
  const SchemaNode* target = nullptr;
  std::string_view text;  // the part of the schema that describes this type
  std::size_t at = 0;     // where that begins in the schema

  /// The type itself, or what a back reference leads to.
  const SchemaNode& resolved() const { return target != nullptr ? *target : *this; }
  const SchemaNode& part(std::size_t i) const { return parts[i]->resolved(); }
};

/// A parsed schema, which owns its text.
class ParsedSchema {
 public:
  /// Throws DamagedData naming the position for text that is no schema, LimitExceeded for one that
  /// nests more than 200 deep or has more than 100,000 parts.
  explicit ParsedSchema(std::string text);
  const SchemaNode& root() const { return root_->resolved(); }

 private:
  std::unique_ptr<const std::string> text_;  // its address stays when the schema moves
  std::unique_ptr<SchemaNode> root_;
};

}  // namespace hoist::detail::dynamic
