// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/bytes.hpp>

#include <memory>

// Deflate data with nothing around them, as a zip archive has them, on several threads.

namespace hoist::detail::codecs {

std::unique_ptr<ByteSink> bare_deflater(ByteSink& out, int level, unsigned threads);
/// Throws DamagedData where the data end before `in` does, or after it.
std::unique_ptr<ByteSource> bare_inflater(ByteSource& in, unsigned threads);

}  // namespace hoist::detail::codecs
