// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/forms.hpp>
#include <hoist/dtype.hpp>

#include <cstddef>
#include <string>

namespace hoist::detail {

template <>
struct Form<Float16> {
  template <class... Open>
  static constexpr bool supported() {
    return true;
  }
  static void schema(SchemaWriter& writer) { writer.text("f16"); }
  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    ar.scalar(value.bits);
  }
};
template <>
struct BlockTraits<Float16> {
  static constexpr bool plain = true;
  static constexpr NaturalLayout natural{2, 2, true};
};

template <std::size_t N, class Char>
struct Form<FixedString<N, Char>> {
  template <class... Open>
  static constexpr bool supported() {
    return true;
  }
  static void schema(SchemaWriter& writer) {
    writer.text(sizeof(Char) == 1 ? "S" : "U");
    writer.text(std::to_string(N));
  }
  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    ar.block(value.characters.data(), N);
  }
};
template <std::size_t N, class Char>
struct BlockTraits<FixedString<N, Char>> {
  static constexpr bool plain = true;
  static constexpr NaturalLayout natural{N * sizeof(Char), sizeof(Char), true};
};

}  // namespace hoist::detail
