// SPDX-License-Identifier: BSD-3-Clause
#include "base/checksum.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace hoist::detail {

std::uint64_t checksum(const void* data, std::size_t n) { return XXH3_64bits(data, n); }

}  // namespace hoist::detail
