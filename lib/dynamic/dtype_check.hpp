// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/dtype.hpp>

#include <cstddef>

namespace hoist::detail::dynamic {

inline constexpr int max_dtype_depth = 16;
inline constexpr std::size_t max_dtype_fields = 4096;
inline constexpr std::size_t max_dtype_parts = std::size_t{1} << 16;
inline constexpr std::size_t max_dimensions = 64;

/// Throws DamagedData for a dtype that contradicts itself (sizes, offsets, units), LimitExceeded
/// for one that is too large. Only the outermost level of a nested one is checked: its parts were
/// checked when they were made.
void check_dtype(const DType& dtype);

/// How many dtypes there are in one, itself included: a part counts wherever it is used, since each
/// walk visits it anew. Counts no further than just beyond `max_dtype_parts`.
std::size_t dtype_parts(const DType& dtype);

/// Bytes of an array's elements. Throws LimitExceeded where they are more than memory can hold, or
/// the array has too many axes, or too many elements of no size.
std::size_t checked_bytes(const DType& dtype, const Shape& shape);

}  // namespace hoist::detail::dynamic
