// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <vector>

namespace hoist::detail::codecs {

/// Turns a complete raw deflate stream into the beginning of a longer one: its last block is no
/// longer marked as the last, and empty stored blocks extend it to a byte boundary. The start of
/// that block is found by a walk over all symbols, several times as fast as compression. The stream
/// must be valid and `out.size()` its exact length.
void open_deflate_end(std::vector<std::byte>& stream);

}  // namespace hoist::detail::codecs
