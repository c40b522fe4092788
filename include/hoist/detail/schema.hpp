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

struct Schema {
  std::string text;
  Digest digest;
  std::vector<MemberDefaults> defaults;  ///< in order of the text
};

/// Writes the schema of a type: the text that is part of every file and of every hash. Its grammar
/// is specified in docs/formats/schema.md.
class SchemaWriter {
 public:
  static constexpr bool describing = true;
  static constexpr bool decoding = false;
  static constexpr bool hashing = false;

  void text(std::string_view text);

  template <class T>
  void type() {
    Form<T>::schema(*this);
  }

  /// Called before a type that may contain itself is described. False if its description is already
  /// open; then a back reference was written instead. Otherwise `leave` must follow.
  bool enter(const void* tag);
  void leave();
  /// The description of an aggregate begins here.
  void note_defaults(void (*encode)(Encoder&));

  /// Called by `serialize(Ar&)`: describes the types of the members, in order.
  template <class... Ts>
  void operator()(const Ts&...) {
    (member<Ts>(), ...);
  }

  /// What has been written.
  Schema take();

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

/// Never destroyed: destructors of static objects dump values, too.
const Schema& make_schema(void (*describe)(SchemaWriter&));

/// The schema of T, made once.
template <class T>
const Schema& schema_of() {
  static const Schema& schema = make_schema([](SchemaWriter& writer) { writer.type<T>(); });
  return schema;
}

}  // namespace hoist::detail
