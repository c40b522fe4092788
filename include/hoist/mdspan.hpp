// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

// Opt-in: this header is empty where the standard library has no std::mdspan (before C++23).
#include <version>

#if defined(__cpp_lib_mdspan)
#include <hoist/array.hpp>
#include <hoist/error.hpp>

#include <array>
#include <cstddef>
#include <mdspan>

namespace hoist {

/// An array's elements as a std::mdspan of `rank` dimensions that refers to them, without a copy,
/// whatever their order or strides: `as_mdspan<2>(array)[i, j]`. The array, or another one with the
/// same elements, must outlive the span. Throws BadArgument if the array has another number of
/// dimensions or negative strides, which std::layout_stride can't have.
template <std::size_t rank, class T>
[[nodiscard]] std::mdspan<T, std::dextents<std::size_t, rank>, std::layout_stride> as_mdspan(
    const Array<T>& array) {
  if (array.ndim() != rank) detail::throw_rank(rank, array.ndim());
  std::array<std::size_t, rank> extents;
  std::array<std::size_t, rank> strides;
  for (std::size_t axis = 0; axis < rank; ++axis) {
    const std::ptrdiff_t stride = array.strides()[axis];
    if (stride < 0) throw BadArgument("as_mdspan: a stride is negative; take copy()");
    extents[axis] = array.shape(axis);
    strides[axis] =
        stride == 0 ? 1 : static_cast<std::size_t>(stride);  // no element has a neighbour
  }
  return {array.data(), {std::dextents<std::size_t, rank>(extents), strides}};
}

/// A span does not keep its array alive, so it can't be made of a temporary one.
template <std::size_t rank, class T>
void as_mdspan(const Array<T>&& array) = delete;

}  // namespace hoist
#endif
