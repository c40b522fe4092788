// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/array.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>
#include <vector>

namespace hoist {

template <class T>
Array<T>::Array(Array&& other) noexcept : Array() {
  swap(other);
}

template <class T>
Array<T>& Array<T>::operator=(Array&& other) noexcept {
  Array taken(std::move(other));
  swap(taken);
  return *this;
}

template <class T>
void Array<T>::swap(Array& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  shape_.swap(other.shape_);
  strides_.swap(other.strides_);
  storage_.swap(other.storage_);
}

template <class T>
template <class U>
  requires(std::is_const_v<T> && std::same_as<U, typename Array<T>::value_type>)
Array<T>::Array(const Array<U>& other)
    : data_(other.data_),
      size_(other.size_),
      shape_(other.shape_),
      strides_(other.strides_),
      storage_(other.storage_) {}

template <class T>
template <std::convertible_to<std::size_t>... Indices>
T& Array<T>::at(Indices... indices) const {
  if (sizeof...(indices) != ndim()) detail::throw_rank(sizeof...(indices), ndim());
  std::size_t axis = 0;
  auto check = [&](std::size_t index) {
    if (index >= shape_[axis]) detail::throw_index(axis, index, shape_[axis]);
    ++axis;
  };
  (check(static_cast<std::size_t>(indices)), ...);
  return (*this)(indices...);
}

template <class T>
Array<T> Array<T>::row(std::size_t index) const {
  if (ndim() == 0) detail::throw_rank(1, 0);
  if (index >= shape_[0]) detail::throw_index(0, index, shape_[0]);
  Array view = *this;
  view.data_ += static_cast<std::ptrdiff_t>(index) * strides_[0];
  detail::remove_first_axis(view.shape_, view.strides_);
  view.size_ = shape_[0] == 0 ? 0 : size_ / shape_[0];
  return view;
}

template <class T>
Array<T> Array<T>::slice(std::size_t axis, std::size_t from, std::size_t to,
                         std::size_t step) const {
  if (axis >= ndim()) detail::throw_rank(axis + 1, ndim());
  if (to > shape_[axis]) detail::throw_index(axis, to, shape_[axis]);
  if (step == 0) throw BadArgument("Array::slice: the step is 0");
  Array view = *this;
  const std::size_t count = from < to ? (to - from - 1) / step + 1 : 0;
  if (count > 0) view.data_ += static_cast<std::ptrdiff_t>(from) * strides_[axis];
  view.shape_[axis] = count;
  // Without neighbours any stride will do, and a huge step would overflow.
  if (count > 1) view.strides_[axis] *= static_cast<std::ptrdiff_t>(step);
  view.size_ = detail::checked_elements(view.shape_, sizeof(T));
  return view;
}

template <class T>
Array<T> Array<T>::transposed() const {
  Array view = *this;
  detail::reverse_axes(view.shape_, view.strides_);
  return view;
}

template <class T>
Array<T> Array<T>::reshaped(Shape shape) const {
  if (detail::checked_elements(shape, sizeof(T)) != size_) detail::throw_size(shape, size_);
  if (!is_contiguous()) detail::throw_not_dense();
  Array view = *this;
  view.strides_ = detail::dense_strides(shape, order());
  view.shape_ = std::move(shape);
  return view;
}

template <class T>
template <class U>
Array<U> Array<T>::astype() const {
  const Order from = order();
  auto result = Array<U>::uninitialized(shape_, from == Order::fortran ? from : Order::c);
  U* to = result.data();
  const auto add = [&](const T& element) { *to++ = static_cast<U>(element); };
  if (from == Order::strided) {
    for_each(add);
  } else if constexpr (std::is_same_v<U, value_type>) {
    std::copy(data_, data_ + size_, to);
  } else {
    std::for_each(data_, data_ + size_, add);
  }
  return result;
}

template <class T>
void Array<T>::fill(value_type value) const
  requires(!std::is_const_v<T>)
{
  if (is_contiguous()) {
    std::fill(data_, data_ + size_, value);
  } else {
    for_each([&](T& element) { element = value; });
  }
}

template <class T>
template <class F>
void Array<T>::for_each(F&& f) const {
  struct Context {
    T* data;
    std::remove_reference_t<F>* f;
  } context{data_, &f};
  detail::for_each_offset(shape_, strides_, &context, [](void* raw, std::ptrdiff_t offset) {
    auto* c = static_cast<Context*>(raw);
    (*c->f)(c->data[offset]);
  });
}

template <class T>
bool Array<T>::equals(const Array& other) const {
  if (shape_ != other.shape_) return false;
  if (strides_ == other.strides_ && is_contiguous()) {
    return std::equal(data_, data_ + size_, other.data_);
  }
  std::vector<const value_type*> left;
  left.reserve(size_);
  for_each([&](const value_type& element) { left.push_back(&element); });
  bool equal = true;
  auto next = left.begin();
  other.for_each([&](const value_type& element) { equal = equal && **next++ == element; });
  return equal;
}

namespace detail {
template <class A>
inline constexpr bool is_any_array = false;
template <class T>
inline constexpr bool is_any_array<Array<T>> = true;
template <class A>
concept AnyArray = is_any_array<A>;
}  // namespace detail

}  // namespace hoist
