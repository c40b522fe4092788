// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>

#include "program/elf_image.hpp"

namespace hoist::detail::program {

/// What the exception tables (.eh_frame) say about a function.
struct FrameEntry {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::uint64_t handlers = 0;  ///< address of its table of handlers (LSDA), 0 for none
};

/// The entry whose range contains address. Found through the index that linkers write
/// (.eh_frame_hdr), or, where there is none (static executables), one made on first use.
std::optional<FrameEntry> find_frame(ElfImage& image, std::uint64_t address);

}  // namespace hoist::detail::program
