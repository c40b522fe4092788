// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "fingerprint/code_fingerprint.hpp"
#include "fingerprint/function_address.hpp"
#include "support/noinline.hpp"

namespace support {

/// Elsewhere all code of a module has one fingerprint, the module's.
#if defined(__x86_64__)
inline constexpr bool reads_code = true;
#else
inline constexpr bool reads_code = false;
#endif

inline hoist::detail::fingerprint::CodeFingerprint fingerprint_of(
    int (*function)(int), hoist::CodeCheck check = hoist::CodeCheck::callees) {
  return hoist::detail::fingerprint::fingerprint_code(hoist::detail::code_address(function), check);
}

}  // namespace support
