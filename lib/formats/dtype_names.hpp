// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/dtype.hpp>

#include <string_view>

namespace hoist::detail::formats {

/// The dtype of a NumPy type string such as `<f8`, `|S3`, `<M8[25s]`, `i4` (little-endian). Throws
/// DamagedData for anything else, LimitExceeded for elements of more than 2 GiB.
DType simple_dtype(std::string_view text);

}  // namespace hoist::detail::formats
