// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>

namespace hoist::detail::base {

/// XXH3-64 of `n` bytes.
std::uint64_t checksum(const void* data, std::size_t n);

}  // namespace hoist::detail::base
