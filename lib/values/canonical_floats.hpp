// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/hasher.hpp>

#include <cstddef>

namespace hoist::detail::values {

/// True if no float among `n` bytes is a negative zero or a NaN.
bool is_canonical(const std::byte* data, std::size_t n, Canonical canonical);

/// Copies `n` bytes of floats, replacing -0.0 by 0.0 and each NaN by the default quiet NaN.
void make_canonical(const std::byte* data, std::size_t n, Canonical canonical, std::byte* to);

}  // namespace hoist::detail::values
