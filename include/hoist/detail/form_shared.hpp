// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/share.hpp>

#include <cstddef>
#include <memory>
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
      auto parts = std::make_shared<SharedParts>();
      Form<std::vector<std::byte>>::traverse(ar, parts->encoded.meta);
      for (std::size_t i = 1; i < count; ++i) {
        const std::size_t bytes = ar.length();
        auto storage = ar.array_block(bytes, false);
        parts->encoded.segments.push_back({storage->data(), bytes, 1, storage});
      }
      const auto& segments = parts->encoded.segments;
      if (!segments.empty()) {
        value.value_ = std::static_pointer_cast<const T>(
            find_shared_value(segments.front().owner, &type_tag<T>));
      }
      if (value.value_ == nullptr) {
        auto made = std::make_shared<T>();
        EncodedSource source(parts->encoded);
        decode(source, *made);
        value.value_ = std::move(made);
        if (!segments.empty()) {
          keep_shared_value(segments.front().owner, &type_tag<T>, value.value_);
        }
      }
      value.parts_ = std::move(parts);
    } else {
      if (!value) {
        ar.length(0);
        return;
      }
      const Encoded& encoded = value.parts_->encoded;
      ar.length(1 + encoded.segments.size());
      Form<std::vector<std::byte>>::traverse(ar, encoded.meta);
      for (const Segment& segment : encoded.segments) {
        ar.length(segment.bytes);
        ar.array_block(segment.data, segment.bytes, segment.owner);
      }
    }
  }
};

}  // namespace hoist::detail
