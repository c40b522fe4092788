// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/share.hpp>

#include <cstddef>
#include <memory>

namespace hoist::detail {

template <class T>
struct Form<Shared<T>> : FormOf<T> {
  static void schema(SchemaWriter& writer) { describe<T>(writer, "shared<", ">"); }

  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    if constexpr (Ar::hashing) {
      ar.length(value ? 1 : 0);
      if (value) Form<T>::traverse(ar, *value);
    } else if constexpr (Ar::decoding) {
      const std::size_t count = ar.length();
      if (count == 0) {
        value = {};
        return;
      }
      const auto parts = decode_shared_parts(ar, count - 1);
      value.value_ = decode_shared<T>(*parts);
      value.parts_ = parts;
    } else {
      if (!value) {
        ar.length(0);
        return;
      }
      const SharedParts& parts = *value.parts_;
      ar.length(1 + parts.segments.size());
      ar.length(parts.meta_bytes);
      ar.length(parts.packed->bytes());
      ar.array_block(parts.packed->data(), parts.packed->bytes(), parts.packed);
      for (std::size_t i = 0; i < parts.segments.size(); ++i) {
        const Segment& segment = parts.segments[i];
        ar.length(segment.bytes);
        ar.length(parts.offsets[i]);
        if (parts.offsets[i] == 0) ar.array_block(segment.data, segment.bytes, segment.owner);
      }
    }
  }
};

}  // namespace hoist::detail
