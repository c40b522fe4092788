// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "program/elf_image.hpp"

namespace hoist::detail::fingerprint {

/// The address after the zero byte that ends the text (UTF-8, no odd control characters) at
/// `address`; `address` if there is no such text before `limit`.
std::uint64_t end_of_text(const program::ElfImage& image, std::uint64_t address,
                          std::uint64_t limit);

/// Whether all of the bytes are one text, with or without the zero byte that ends it, and more than
/// an address could be by chance.
bool is_text(std::span<const std::byte> bytes);

}  // namespace hoist::detail::fingerprint
