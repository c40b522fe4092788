// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <unordered_set>

#include "program/elf_image.hpp"

namespace hoist::detail::fingerprint {

/// Where data without a symbol may extend: from `begin`, which something refers to, up to `end`.
struct DataWindow {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

/// Moves the end of each window to the first address after its begin that any code or pointer in
/// the module refers to: compilers and linkers leave string literals, constant arrays and jump
/// tables without symbols, so that the next reference is what bounds them.
///
/// `windows` are sorted by begin. Addresses in `ignored` don't bound anything (they are known to be
/// ends of arrays, or to lie inside them). Cost: one pass over the module's code, about 0.3 ms per
/// MiB, whatever the number of windows.
void narrow_windows(program::ElfImage& image, std::span<DataWindow> windows,
                    const std::unordered_set<std::uint64_t>& ignored);

}  // namespace hoist::detail::fingerprint
