// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/hasher.hpp>

#include <cstddef>

namespace hoist::detail::values {

/// True if no float among `n` bytes is a negative zero or a NaN.
bool is_canonical(const std::byte* data, std::size_t n, Canonical canonical);

/// Copies `n` bytes of floats with -0.0 made 0.0 and each NaN the default quiet one.
void make_canonical(const std::byte* data, std::size_t n, Canonical canonical, std::byte* to);

}  // namespace hoist::detail::values
