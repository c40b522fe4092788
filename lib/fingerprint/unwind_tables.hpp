// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/digest_stream.hpp"
#include "fingerprint/code_decode.hpp"
#include "program/elf_image.hpp"

namespace hoist::detail::fingerprint {

/// What the exception tables (.eh_frame) say about a function.
struct FrameEntry {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::uint64_t handlers = 0;  ///< address of its table of handlers (LSDA), 0 for none
};

/// The entry whose range contains address. Found through the index that linkers write
/// (.eh_frame_hdr), or, where there is none (static executables), one made on first use.
std::optional<FrameEntry> find_frame(program::ElfImage& image, std::uint64_t address);

/// A type that a handler catches: the address of its type information, or of a slot with that.
struct CaughtType {
  std::uint64_t address = 0;
  bool indirect = false;
};

/// Puts the function's handler table into the stream: which instructions are covered by which
/// handler, and for which of the types returned, in order of mention. Addresses become instruction
/// numbers; the types are left to the caller. Nothing is put for a table that can't be read.
std::vector<CaughtType> put_handlers(const program::ElfImage& image, std::uint64_t handlers,
                                     const DecodedCode& code, base::DigestStream& stream);

}  // namespace hoist::detail::fingerprint
