// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "base/byte_streams.hpp"

namespace hoist::detail::codecs {

/// Compressed input, which is fetched ahead in pieces that are large enough for any decoder.
class Input final : public base::PeekedSource {
 public:
  explicit Input(ByteSource& in) : PeekedSource(in, std::size_t{128} << 10) {}
};

}  // namespace hoist::detail::codecs
