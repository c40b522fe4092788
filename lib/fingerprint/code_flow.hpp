// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "fingerprint/code_decode.hpp"

namespace hoist::detail::fingerprint {

/// Whether the address that instruction `ref.instruction` takes is only ever compared with, as the
/// end of an array is: never read through, stored (except in a stack slot, which is followed),
/// passed or returned. False when in doubt.
bool is_only_compared(const program::ElfImage& image, const DecodedCode& code, const CodeRef& ref);

/// Whether what lies at the address that instruction `ref.instruction` takes is only read, or the
/// address compared with: never written through, stored (except in a stack slot), or returned.
/// Passed on only to functions of the module that do the same, and with `follow_calls`. False when
/// in doubt.
bool is_only_read(program::ElfImage& image, const DecodedCode& code, const CodeRef& ref,
                  bool follow_calls);

/// Whether the table whose address `ref.instruction` takes holds 32-bit distances from its own
/// start: an entry is loaded with sign extension and added to the address.
bool is_relative_table(const program::ElfImage& image, const DecodedCode& code, const CodeRef& ref);

}  // namespace hoist::detail::fingerprint
