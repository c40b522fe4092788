// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/array.hpp>

#include <algorithm>
#include <cstddef>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

namespace hoist::detail {

/// Copies the elements in C order to blocks of `block` elements, which begin at `to` and lie
/// `distance` apart.
template <class T, class U>
void copy_to_blocks(const Array<T>& from, U* to, std::size_t block, std::size_t distance) {
  if (from.order() == Order::c) {
    for (std::size_t at = 0; at < from.size(); at += block, to += distance) {
      std::copy(from.data() + at, from.data() + at + block, to);
    }
  } else {
    std::size_t at = 0;
    from.for_each([&](const T& element) {
      to[at++] = element;
      if (at == block) {
        at = 0;
        to += distance;
      }
    });
  }
}

/// `shape` is that of the result, and what lies within `axis` of an array is one block of it.
template <class T>
auto join(const std::vector<Array<T>>& arrays, Shape shape, std::size_t axis) {
  auto result = Array<std::remove_const_t<T>>::uninitialized(std::move(shape));
  if (result.empty()) return result;
  std::size_t blocks = 1;
  for (std::size_t i = 0; i < axis; ++i) blocks *= result.shape(i);
  auto* to = result.data();
  for (const Array<T>& array : arrays) {
    if (array.empty()) continue;
    copy_to_blocks(array, to, array.size() / blocks, result.size() / blocks);
    to += array.size() / blocks;
  }
  return result;
}

/// The shapes of arrays.
template <class T>
std::vector<Shape> shapes_of(const std::vector<Array<T>>& arrays) {
  std::vector<Shape> shapes;
  for (const Array<T>& array : arrays) shapes.push_back(array.shape());
  return shapes;
}

/// The arrays of a range; their elements stay where they are.
template <class Range>
auto handles(Range&& range) {
  std::vector<std::ranges::range_value_t<Range>> arrays;
  for (auto&& array : range) arrays.push_back(array);
  return arrays;
}

template <class Range>
concept ArrayRange = std::ranges::input_range<Range> && AnyArray<std::ranges::range_value_t<Range>>;

}  // namespace hoist::detail
