// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/digest.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace hoist::detail {

class Encoder;
template <class T>
struct Form;

/// One object per type, whose address identifies the type at run time.
template <class T>
inline constexpr char type_tag = 0;

/// Encodes an aggregate whose members have their defaults. Its description begins at `at` in the
/// schema.
struct MemberDefaults {
  std::size_t at;
  void (*encode)(Encoder&);
};

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
  /// The description of an aggregate begins here.
  void note_defaults(void (*encode)(Encoder&)) { defaults_.push_back({text_.size(), encode}); }

  /// Called by `serialize(Ar&)`: describes the types of the members, in order.
  template <class... Ts>
  void operator()(const Ts&...) {
    (member<Ts>(), ...);
  }

  std::string take() { return std::move(text_); }
  std::vector<MemberDefaults> take_defaults() { return std::move(defaults_); }

 private:
  template <class T>
  void member() {
    if (text_.back() != '(') text_ += ',';
    type<T>();
  }

  std::string text_;
  std::vector<const void*> open_;
  std::vector<MemberDefaults> defaults_;
};

struct Schema {
  explicit Schema(std::string schema, std::vector<MemberDefaults> aggregates = {});
  std::string text;
  Digest digest;
  std::vector<MemberDefaults> defaults;  ///< in order of the text
};

/// The schema of T, made once. Never destroyed: destructors of static objects dump values, too.
template <class T>
const Schema& schema_of() {
  static const Schema& schema = *[] {
    SchemaWriter writer;
    writer.type<T>();
    return new Schema(writer.take(), writer.take_defaults());
  }();
  return schema;
}

}  // namespace hoist::detail
