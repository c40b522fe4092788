// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace hoist::detail::base {

/// How many bytes each byte of input justifies, whatever LoadOptions::limits says. Deflate reaches
/// 1,032, the most of the common methods.
inline constexpr std::uint64_t expansion_ratio = 1100;

/// How many bytes so much input justifies.
constexpr std::uint64_t expanded(std::uint64_t bytes) {
  constexpr std::uint64_t all = ~std::uint64_t{0};
  return bytes > all / expansion_ratio ? all : bytes * expansion_ratio;
}

}  // namespace hoist::detail::base
