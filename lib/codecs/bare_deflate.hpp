// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/bytes.hpp>

#include <memory>

// Deflate data without header and trailer, as in a zip archive, on several threads.

namespace hoist::detail::codecs {

std::unique_ptr<ByteSink> bare_deflater(ByteSink& out, int level, unsigned threads);
/// Throws DamagedData unless the data end exactly where `in` ends.
std::unique_ptr<ByteSource> bare_inflater(ByteSource& in, unsigned threads);

}  // namespace hoist::detail::codecs
