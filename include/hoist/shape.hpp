// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <cstddef>
#include <vector>

namespace hoist {

/// The extents of an array, outermost first; empty for a single value (0-d).
using Shape = std::vector<std::size_t>;
/// Distances between neighbours along each axis, in elements; may be negative.
using Strides = std::vector<std::ptrdiff_t>;

/// The order of the elements in memory: last index fastest (C), first index fastest (Fortran), or
/// neither.
enum class Order : unsigned char { c, fortran, strided };

namespace detail {
/// The number of elements. Throws BadArgument if their bytes exceed the address space.
std::size_t checked_elements(const Shape& shape, std::size_t element_bytes);
/// The strides of a dense array in C or Fortran order.
Strides dense_strides(const Shape& shape, Order order);
/// Order::c if the array is dense in both orders.
Order order_of(const Shape& shape, const Strides& strides);
void remove_first_axis(Shape& shape, Strides& strides);
void reverse_axes(Shape& shape, Strides& strides);
[[noreturn]] void throw_index(std::size_t axis, std::size_t index, std::size_t extent);
[[noreturn]] void throw_rank(std::size_t given, std::size_t rank);
[[noreturn]] void throw_size(const Shape& shape, std::size_t elements);
[[noreturn]] void throw_not_dense();
/// Calls `visit(context, offset)` with the offset of each element, in C order.
void for_each_offset(const Shape& shape, const Strides& strides, void* context,
                     void (*visit)(void* context, std::ptrdiff_t offset));
/// The shape of arrays that are joined along `axis`, or along a new first axis. They throw
/// BadArgument if the shapes do not fit together.
Shape concatenated_shape(const std::vector<Shape>& shapes, std::size_t axis);
Shape stacked_shape(const std::vector<Shape>& shapes);
}  // namespace detail

}  // namespace hoist
