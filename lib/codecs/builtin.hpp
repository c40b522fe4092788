// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/codec.hpp>

namespace hoist::detail {

const Codec& gzip_codec();
const Codec& zstd_codec();

}  // namespace hoist::detail
