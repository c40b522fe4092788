// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/digest.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace hoist::detail {

template <class T>
struct Form;

/// One object per type, whose address identifies the type at run time.
template <class T>
inline constexpr char type_tag = 0;

/// Writes the schema of a type: the text that is part of every file and of every hash. Its grammar
/// is specified in docs/formats/schema.md.
class SchemaWriter {
 public:
  static constexpr bool describing = true;
  static constexpr bool decoding = false;
  static constexpr bool hashing = false;

  void text(std::string_view text) { text_ += text; }

  template <class T>
  void type() {
    Form<T>::schema(*this);
  }

  /// Called before a type that may contain itself is described. False if its description is already
  /// open; then a back reference was written instead. Otherwise `leave` must follow.
  bool enter(const void* tag);
  void leave() { open_.pop_back(); }

  /// Called by `serialize(Ar&)`: describes the types of the members, in order.
  template <class... Ts>
  void operator()(const Ts&...) {
    (member<Ts>(), ...);
  }

  std::string take() { return std::move(text_); }

 private:
  template <class T>
  void member() {
    if (text_.back() != '(') text_ += ',';
    type<T>();
  }

  std::string text_;
  std::vector<const void*> open_;
};

struct Schema {
  explicit Schema(std::string schema);
  std::string text;
  Digest digest;
};

/// The schema of T, made once. Never destroyed: destructors of static objects dump values, too.
template <class T>
const Schema& schema_of() {
  static const Schema& schema = *[] {
    SchemaWriter writer;
    writer.type<T>();
    return new Schema(writer.take());
  }();
  return schema;
}

}  // namespace hoist::detail
