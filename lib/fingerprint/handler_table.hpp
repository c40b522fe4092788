// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

#include "base/digest_stream.hpp"
#include "fingerprint/code_decode.hpp"
#include "program/elf_image.hpp"

namespace hoist::detail::fingerprint {

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
