// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/storage.hpp>
#include <hoist/error.hpp>
#include <hoist/shape.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace hoist {

/// An n-dimensional array that shares ownership of its elements.
///
/// Copying an Array copies the handle, as copying a shared_ptr does; `copy()` copies elements.
/// Elements are trivially copyable. `Array<const T>` is a read-only view of the same elements, and
/// what a read-only file mapping yields. Storage may be heap, a mapped file or a shared segment:
/// nothing in this interface depends on which. Distinct handles may be used from distinct threads;
/// access to common elements is the caller's to order.
template <class T>
class Array {
  static_assert(std::is_trivially_copyable_v<T>,
                "hoist::Array holds trivially copyable elements; use std::vector for others");

 public:
  using element_type = T;
  using value_type = std::remove_const_t<T>;

  /// An empty one-dimensional array.
  Array() : shape_{0}, strides_{1} {}

  /// Zero-filled elements in C or Fortran order. Throws BadArgument where the size overflows.
  explicit Array(Shape shape, Order order = Order::c)
    requires(!std::is_const_v<T>)
      : Array(std::move(shape), order, detail::Fill::zero) {}

  /// As above with elements left uninitialised, for callers that write them all.
  static Array uninitialized(Shape shape, Order order = Order::c)
    requires(!std::is_const_v<T>)
  {
    return Array(std::move(shape), order, detail::Fill::none);
  }

  /// Takes over a vector's elements without copying; `shape` defaults to one dimension.
  static Array from_vector(std::vector<value_type> values, Shape shape = {}, Order order = Order::c)
    requires(!std::is_same_v<value_type, bool>)
  {
    if (shape.empty()) shape = {values.size()};
    if (detail::checked_elements(shape, sizeof(T)) != values.size()) {
      detail::throw_size(shape, values.size());
    }
    auto keep = std::make_shared<std::vector<value_type>>(std::move(values));
    T* data = keep->data();
    return wrap(data, std::move(shape), order, std::move(keep));
  }

  /// Copies a span's elements.
  static Array copy_of(std::span<const value_type> values)
    requires(!std::is_const_v<T>)
  {
    Array array = uninitialized({values.size()});
    std::copy(values.begin(), values.end(), array.data_);
    return array;
  }

  /// A view of memory that `keep_alive` owns, or (null) that outlives every copy of the array.
  static Array wrap(T* data, Shape shape, Order order = Order::c,
                    std::shared_ptr<void> keep_alive = nullptr) {
    const std::size_t bytes = detail::checked_elements(shape, sizeof(T)) * sizeof(T);
    auto storage = detail::wrap_storage(const_cast<value_type*>(data), bytes, !std::is_const_v<T>,
                                        std::move(keep_alive));
    return Array(std::move(storage), data, std::move(shape), order);
  }

  /// Used by loaders: elements at `data` inside `storage`, in C or Fortran order.
  Array(std::shared_ptr<detail::Storage> storage, T* data, Shape shape, Order order)
      : data_(data),
        size_(detail::checked_elements(shape, sizeof(T))),
        strides_(detail::dense_strides(shape, order)),
        storage_(std::move(storage)) {
    shape_ = std::move(shape);
  }

  /// `Array<T>` is usable wherever `Array<const T>` is asked for.
  template <class U>
    requires(std::is_const_v<T> && std::same_as<U, value_type>)
  Array(const Array<U>& other)
      : data_(other.data_),
        size_(other.size_),
        shape_(other.shape_),
        strides_(other.strides_),
        storage_(other.storage_) {}

  T* data() const noexcept { return data_; }
  /// Number of elements.
  std::size_t size() const noexcept { return size_; }
  std::size_t nbytes() const noexcept { return size_ * sizeof(T); }
  bool empty() const noexcept { return size_ == 0; }
  std::size_t ndim() const noexcept { return shape_.size(); }
  const Shape& shape() const noexcept { return shape_; }
  std::size_t shape(std::size_t axis) const { return shape_.at(axis); }
  /// In elements, not bytes.
  const Strides& strides() const noexcept { return strides_; }
  /// C for arrays dense in both orders (one-dimensional ones, for instance).
  Order order() const { return detail::order_of(shape_, strides_); }
  bool is_contiguous() const { return order() != Order::strided; }
  const std::shared_ptr<detail::Storage>& storage() const noexcept { return storage_; }

  /// Unchecked element access, one index an axis.
  template <std::convertible_to<std::size_t>... Indices>
  T& operator()(Indices... indices) const noexcept {
    std::ptrdiff_t offset = 0;
    std::size_t axis = 0;
    ((offset += static_cast<std::ptrdiff_t>(indices) * strides_[axis++]), ...);
    return data_[offset];
  }

  /// As `operator()`, checked: BadArgument for a wrong number of indices or one out of range.
  template <std::convertible_to<std::size_t>... Indices>
  T& at(Indices... indices) const {
    if (sizeof...(indices) != ndim()) detail::throw_rank(sizeof...(indices), ndim());
    std::size_t axis = 0;
    auto check = [&](std::size_t index) {
      if (index >= shape_[axis]) detail::throw_index(axis, index, shape_[axis]);
      ++axis;
    };
    (check(static_cast<std::size_t>(indices)), ...);
    return (*this)(indices...);
  }

  /// Element `i` in memory order; the array must be contiguous (unchecked).
  T& operator[](std::size_t i) const noexcept { return data_[i]; }

  /// All elements in memory order. Throws BadArgument for strided arrays: take `copy()` first.
  std::span<T> span() const {
    if (!is_contiguous()) detail::throw_not_dense();
    return {data_, size_};
  }
  T* begin() const { return span().data(); }
  T* end() const { return span().data() + size_; }

  /// The sub-array at `index` of the first axis: a row of a matrix. Shares the elements.
  Array row(std::size_t index) const;

  /// Elements `from, from + step, ...` below `to` along one axis. Shares the elements.
  Array slice(std::size_t axis, std::size_t from, std::size_t to, std::size_t step = 1) const;

  /// The same elements with the axes reversed: C becomes Fortran order.
  Array transposed() const;

  /// The same elements with other extents; throws BadArgument if strided or of another size.
  Array reshaped(Shape shape) const;

  /// New heap elements; keeps C or Fortran order, a strided array becomes C.
  Array<value_type> copy() const;

  /// Calls `f(element)` for every element in C order, whatever the strides.
  template <class F>
  void for_each(F&& f) const;

  /// Same shape and equal elements; order and storage don't matter.
  friend bool operator==(const Array& a, const Array& b)
    requires std::equality_comparable<T>
  {
    return a.equals(b);
  }

 private:
  template <class U>
  friend class Array;

  Array(Shape shape, Order order, detail::Fill fill)
      : size_(detail::checked_elements(shape, sizeof(T))),
        strides_(detail::dense_strides(shape, order)),
        storage_(detail::allocate_storage(size_ * sizeof(T), fill)) {
    shape_ = std::move(shape);
    data_ = reinterpret_cast<T*>(storage_->data());
  }

  bool equals(const Array& other) const;

  T* data_ = nullptr;
  std::size_t size_ = 0;
  Shape shape_;
  Strides strides_;
  std::shared_ptr<detail::Storage> storage_;
};

}  // namespace hoist

// The longer member functions.
#include <hoist/detail/array_members.hpp>
