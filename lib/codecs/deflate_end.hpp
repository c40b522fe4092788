// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <vector>

namespace hoist::detail::codecs {

/// Turns a whole raw deflate stream into the beginning of a longer one: its last block is no longer
/// marked as the last, and empty stored blocks bring it to a byte's end. Where that block begins is
/// found by walking all symbols, at several times the speed of their making. The stream must be
/// sound and `out.size()` its exact length.
void open_deflate_end(std::vector<std::byte>& stream);

}  // namespace hoist::detail::codecs
