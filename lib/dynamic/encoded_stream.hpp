// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>

#include "dynamic/conversion.hpp"

namespace hoist::detail::dynamic {

/// Encodes a value and reads it at the same time, about a MiB after the other, so that the whole is
/// never in memory. `read` must read everything. It runs inside a coroutine unless the value fits
/// into one piece.
void read_while_encoding(const std::function<void(Encoder&)>& encode,
                         const std::function<void(DecodeSource&)>& read);
/// The same, except that `encode` runs inside the coroutine.
void encode_while_reading(const std::function<void(EncodeSink&)>& encode,
                          const std::function<void(DecodeSource&)>& read);

}  // namespace hoist::detail::dynamic
