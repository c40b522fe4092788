// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/array.hpp>
#include <hoist/error.hpp>

#include <algorithm>
#include <cstdint>
#include <limits>

namespace hoist::detail {

namespace {

std::string text_of(const Shape& shape) {
  std::string text = "(";
  for (std::size_t extent : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(extent);
  return text + ")";
}

}  // namespace

std::size_t checked_elements(const Shape& shape, std::size_t element_bytes) {
  constexpr auto most = static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max());
  std::size_t n = 1;
  for (std::size_t extent : shape) {
    if (extent == 0) return 0;
    if (n > most / element_bytes / extent) {
      throw BadArgument("an array of shape " + text_of(shape) + " is larger than memory can be");
    }
    n *= extent;
  }
  return n;
}

Strides dense_strides(const Shape& shape, Order order) {
  Strides strides(shape.size());
  std::ptrdiff_t step = 1;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const std::size_t axis = order == Order::fortran ? i : shape.size() - 1 - i;
    strides[axis] = step;
    step *= static_cast<std::ptrdiff_t>(shape[axis]);
  }
  return strides;
}

void remove_first_axis(Shape& shape, Strides& strides) {
  shape.erase(shape.begin());
  strides.erase(strides.begin());
}

void reverse_axes(Shape& shape, Strides& strides) {
  std::reverse(shape.begin(), shape.end());
  std::reverse(strides.begin(), strides.end());
}

Order order_of(const Shape& shape, const Strides& strides) {
  // Axes of extent 1 may have any stride, and an array without elements is dense either way.
  const auto fits = [&](Order order) {
    std::ptrdiff_t step = 1;
    for (std::size_t i = 0; i < shape.size(); ++i) {
      const std::size_t axis = order == Order::fortran ? i : shape.size() - 1 - i;
      if (shape[axis] != 1 && strides[axis] != step) return false;
      step *= static_cast<std::ptrdiff_t>(shape[axis]);
    }
    return true;
  };
  for (std::size_t extent : shape) {
    if (extent == 0) return Order::c;
  }
  return fits(Order::c) ? Order::c : fits(Order::fortran) ? Order::fortran : Order::strided;
}

void throw_size(const Shape& shape, std::size_t elements) {
  throw BadArgument("an array of shape " + text_of(shape) + " can't be made of " +
                    std::to_string(elements) + " elements");
}

void throw_index(std::size_t axis, std::size_t index, std::size_t extent) {
  throw BadArgument("array index " + std::to_string(index) + " on axis " + std::to_string(axis) +
                    ", which has extent " + std::to_string(extent));
}

void throw_rank(std::size_t given, std::size_t rank) {
  throw BadArgument(std::to_string(given) + " indices for an array of " + std::to_string(rank) +
                    " dimensions");
}

void throw_not_dense() {
  throw BadArgument("this array is a strided view, its elements are not one block: take copy()");
}

void for_each_offset(const Shape& shape, const Strides& strides, void* context,
                     void (*visit)(void* context, std::ptrdiff_t offset)) {
  for (std::size_t extent : shape) {
    if (extent == 0) return;
  }
  Shape index(shape.size(), 0);
  std::ptrdiff_t offset = 0;
  for (;;) {
    visit(context, offset);
    std::size_t axis = shape.size();
    for (;;) {
      if (axis-- == 0) return;
      offset += strides[axis];
      if (++index[axis] < shape[axis]) break;
      offset -= strides[axis] * static_cast<std::ptrdiff_t>(shape[axis]);
      index[axis] = 0;
    }
  }
}

Shape concatenated_shape(const std::vector<Shape>& shapes, std::size_t axis) {
  if (shapes.empty()) throw BadArgument("concatenate: there is no array");
  Shape joined = shapes[0];
  if (axis >= joined.size()) {
    throw BadArgument("concatenate: arrays of shape " + text_of(joined) + " have no axis " +
                      std::to_string(axis));
  }
  for (std::size_t i = 1; i < shapes.size(); ++i) {
    const Shape& shape = shapes[i];
    bool fits = shape.size() == joined.size();
    for (std::size_t k = 0; fits && k < shape.size(); ++k) {
      fits = k == axis || shape[k] == joined[k];
    }
    if (!fits) {
      throw BadArgument("concatenate: arrays of shapes " + text_of(shapes[0]) + " and " +
                        text_of(shape) + " can't be joined along axis " + std::to_string(axis) +
                        ": all other extents must be equal");
    }
    joined[axis] += std::min(shape[axis], SIZE_MAX - joined[axis]);
  }
  return joined;
}

Shape stacked_shape(const std::vector<Shape>& shapes) {
  if (shapes.empty()) throw BadArgument("stack: there is no array");
  for (const Shape& shape : shapes) {
    if (shape != shapes[0]) {
      throw BadArgument("stack: arrays of shapes " + text_of(shapes[0]) + " and " + text_of(shape) +
                        " can't be stacked: all shapes must be equal");
    }
  }
  Shape stacked = shapes[0];
  stacked.insert(stacked.begin(), shapes.size());
  return stacked;
}

}  // namespace hoist::detail
