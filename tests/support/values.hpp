// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <doctest/doctest.h>
#include <hoist/hash.hpp>
#include <hoist/values.hpp>

namespace support {

/// What a value is after it was encoded and decoded; its hash must be the same.
template <class T>
T round_trip(const T& value) {
  const hoist::detail::Encoded encoded = hoist::detail::encode(value);
  hoist::detail::EncodedSource source(encoded);
  T result{};
  hoist::detail::decode(source, result);
  CHECK(hoist::hash(result) == hoist::hash(value));
  return result;
}

}  // namespace support
