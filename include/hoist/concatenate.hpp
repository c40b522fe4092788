// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/array.hpp>
#include <hoist/detail/join_arrays.hpp>

#include <cstddef>
#include <initializer_list>
#include <span>

namespace hoist {

/// A new array of arrays joined along an axis that they have, as numpy.concatenate makes it:
/// `concatenate(parts)` has the rows of all matrices, `concatenate(parts, 1)` their columns.
///
/// `arrays` is any range of arrays of one element type, such as the results of a loop: views,
/// strided and Fortran ones among them, also arrays without elements. `axis` counts from 0. The
/// result is in C order and in heap memory of its own; its extent along `axis` is the sum of
/// theirs. Throws BadArgument, which names the shapes, if there are no arrays, if they have no such
/// axis (a 0-d array has none), or if their extents differ on another one. Thread-safe as far as
/// nobody writes to the arrays meanwhile. Cost: each element is copied once, in blocks where the
/// arrays are in C order; handles on the arrays are kept meanwhile.
template <detail::ArrayRange Range>
[[nodiscard]] auto concatenate(Range&& arrays, std::size_t axis = 0) {
  const auto all = detail::handles(arrays);
  return detail::join(all, detail::concatenated_shape(detail::shapes_of(all), axis), axis);
}
/// The same of a few: `concatenate({a, b})`. They must be of one type.
template <class T>
[[nodiscard]] auto concatenate(std::initializer_list<Array<T>> arrays, std::size_t axis = 0) {
  return concatenate(std::span(arrays.begin(), arrays.size()), axis);
}

/// A new array whose rows are the arrays, as numpy.stack makes it: `stack(vectors)` is a matrix of
/// as many rows as there are vectors, and stacked 0-d arrays are a vector.
///
/// All arrays must have one shape; the result has one axis more, the first, whose extent is their
/// number. Throws BadArgument, which names the shapes, if there are none or their shapes differ. In
/// all else as `concatenate`.
template <detail::ArrayRange Range>
[[nodiscard]] auto stack(Range&& arrays) {
  const auto all = detail::handles(arrays);
  return detail::join(all, detail::stacked_shape(detail::shapes_of(all)), 0);
}
/// The same of a few: `stack({a, b})`.
template <class T>
[[nodiscard]] auto stack(std::initializer_list<Array<T>> arrays) {
  return stack(std::span(arrays.begin(), arrays.size()));
}

}  // namespace hoist
