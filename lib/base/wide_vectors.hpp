// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace hoist::detail::base {

/// Clears the upper halves of the vector registers. To be called after code that uses vectors of
/// more than 16 bytes and leaves them set, as xxHash does: SSE code can then be several times
/// slower.
inline void zero_upper_halves() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx")) {
    asm volatile("vzeroupper"
                 :
                 :
                 : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
                   "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
  }
#endif
}

}  // namespace hoist::detail::base
