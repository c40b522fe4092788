// SPDX-License-Identifier: BSD-3-Clause
#include "base/digest_stream.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace hoist::detail::base {

Digest digest_of(std::span<const std::byte> bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return {.low = hash.low64, .high = hash.high64};
}

void DigestStream::put(std::span<const std::byte> bytes) {
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

}  // namespace hoist::detail::base
