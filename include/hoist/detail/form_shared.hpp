// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/share.hpp>

#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

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
      const auto parts = decode_parts(ar, count - 1);
      value.value_ =
          std::static_pointer_cast<const T>(find_shared_value(parts->packed, &type_tag<T>));
      if (value.value_ == nullptr) {
        auto made = std::make_shared<T>();
        const std::span meta(parts->packed->data(), parts->meta_bytes);
        EncodedSource source(meta, parts->segments);
        decode(source, *made);
        value.value_ = std::move(made);
        keep_shared_value(parts->packed, &type_tag<T>, value.value_);
      }
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

 private:
  template <class Ar>
  static std::shared_ptr<SharedParts> decode_parts(Ar& ar, std::size_t segments) {
    auto parts = std::make_shared<SharedParts>();
    parts->meta_bytes = ar.length();
    const std::size_t packed = ar.length();
    if (packed == 0 || parts->meta_bytes > packed) Decoder::throw_damaged();
    parts->packed = ar.array_block(packed, false);
    for (std::size_t i = 0; i < segments; ++i) {
      const std::size_t bytes = ar.length();
      const std::size_t offset = ar.length();
      if (offset != 0) {
        parts->segments.push_back(packed_segment(*parts, offset, bytes));
      } else {
        auto storage = ar.array_block(bytes, false);
        parts->segments.push_back({storage->data(), bytes, 1, storage});
      }
      parts->offsets.push_back(offset);
    }
    return parts;
  }
};

}  // namespace hoist::detail
