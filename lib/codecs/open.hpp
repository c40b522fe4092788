// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/codec.hpp>
#include <hoist/limits.hpp>

#include <cstddef>
#include <memory>

#include "base/byte_streams.hpp"

namespace hoist::detail::codecs {

/// As many first bytes as any compression method or file format has to see to be recognised.
inline constexpr std::size_t first_bytes = 64;

/// The method in which what follows is compressed, or null.
const Codec* codec_of(base::PeekableSource& in);

/// Decompresses `in`, within limits: LimitExceeded once more comes out than `limits.max_bytes` and
/// than the size of `in` (where it is known) justifies. `left()` of the result says how much may
/// still come. `threads` 0: all usable cores.
std::unique_ptr<ByteSource> open_compressed(const Codec& codec, ByteSource& in,
                                            const Limits& limits, unsigned threads);

}  // namespace hoist::detail::codecs
