// SPDX-License-Identifier: BSD-3-Clause
#include "base/checksum.hpp"

#include "base/wide_vectors.hpp"

#if defined(__x86_64__)
#include <xxh_x86dispatch.h>  // lets each call take the widest vectors the processor has
#else
#include <xxhash.h>
#endif

namespace hoist::detail::base {

std::uint64_t checksum(const void* data, std::size_t n) {
  const std::uint64_t sum = XXH3_64bits(data, n);
  zero_upper_halves();
  return sum;
}

}  // namespace hoist::detail::base
