// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/codec.hpp>
#include <hoist/limits.hpp>

#include <memory>

namespace hoist::detail::codecs {

/// Decompresses `in`, within limits: LimitExceeded once more comes out than `limits.max_bytes` and
/// than the size of `in` (where it is known) justifies. `left()` of the result says how much may
/// still come. `threads` 0: all usable cores.
std::unique_ptr<ByteSource> open_compressed(const Codec& codec, ByteSource& in,
                                            const Limits& limits, unsigned threads);

}  // namespace hoist::detail::codecs
