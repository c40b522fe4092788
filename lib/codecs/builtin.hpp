// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/codec.hpp>

namespace hoist::detail::codecs {

const Codec& zlib_codec();
const Codec& gzip_codec();
const Codec& bz2_codec();
const Codec& lzma_codec();
const Codec& xz_codec();
const Codec& lz4_codec();
const Codec& zstd_codec();

}  // namespace hoist::detail::codecs
