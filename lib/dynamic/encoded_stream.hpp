// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>

#include "dynamic/conversion.hpp"

namespace hoist::detail::dynamic {

/// Encodes a value and has it read as it is encoded, a stretch of about a MiB at a time, so that the
/// whole of it is nowhere. `read` must read all; it runs inside a coroutine, unless all is one stretch.
void read_while_encoding(const std::function<void(Encoder&)>& encode,
                         const std::function<void(DecodeSource&)>& read);
/// The same with the halves changed: here `encode` runs inside a coroutine.
void encode_while_reading(const std::function<void(EncodeSink&)>& encode,
                          const std::function<void(DecodeSource&)>& read);

}  // namespace hoist::detail::dynamic
