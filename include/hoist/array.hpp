// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/detail/array_rows.hpp>
#include <hoist/detail/storage.hpp>
#include <hoist/detail/write_array.hpp>
#include <hoist/error.hpp>
#include <hoist/shape.hpp>

#include <algorithm>
#include <cassert>
#include <concepts>
#include <cstddef>
#include <iosfwd>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace hoist {

/// An n-dimensional array that shares ownership of its elements.
///
/// `T` is trivially copyable. Copying an Array copies the handle, as copying a shared_ptr does;
/// `copy()` copies the elements. `Array<const T>` is a read-only view of the same elements, and is
/// what a read-only file mapping yields. The elements are in heap memory, a mapped file or a shared
/// segment; no function depends on which.
///
/// A list in braces is always a shape, as in NumPy's zeros((2, 3)): `Array<int>({2, 3})` has two
/// rows of zeros. `from_vector({2, 3})` has these elements.
///
/// Thread-safety: different handles may be used from different threads, even if they share
/// elements; the caller synchronises access to the elements. Cost: views (`row`, `slice`,
/// `transposed`, `reshaped`) are O(ndim) and copy no elements.
template <class T>
class Array {
  static_assert(std::is_trivially_copyable_v<T>,
                "hoist::Array holds trivially copyable elements; use std::vector for others");

 public:
  using element_type = T;  ///< const T: an array to read
  using value_type = std::remove_const_t<T>;

  /// Makes an empty one-dimensional array.
  Array() : shape_{0}, strides_{1} {}
  Array(const Array&) = default;
  Array& operator=(const Array&) = default;
  /// What is moved from is as Array() makes it.
  Array(Array&& other) noexcept;
  Array& operator=(Array&& other) noexcept;

  /// Makes an array of zeros. `shape` has one extent per axis, outermost first. Throws BadArgument
  /// if the number of bytes overflows, std::bad_alloc if there is no memory.
  explicit Array(Shape shape, Order order = Order::c)
    requires(!std::is_const_v<T>)
      : Array(std::move(shape), order, detail::Fill::zero) {}

  /// Like the constructor above, but the elements have no value until the caller writes them.
  static Array uninitialized(Shape shape, Order order = Order::c)
    requires(!std::is_const_v<T>)
  {
    return Array(std::move(shape), order, detail::Fill::none);
  }

  /// Zeros in memory that tasks of every backend share. Also throws SystemError without memory.
  static Array shared(Shape shape, Order order = Order::c)
    requires(!std::is_const_v<T>)
  {
    const std::size_t bytes = detail::checked_elements(shape, sizeof(T)) * sizeof(T);
    auto storage = detail::allocate_for_processes("hoist-array", bytes);
    return Array(storage, reinterpret_cast<T*>(storage->data()), std::move(shape), order);
  }

  /// Takes over a vector's elements without copying them. An empty `shape` means one dimension.
  /// Throws BadArgument if the number of elements is not that of `shape`.
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

  /// Copies a span's elements into a one-dimensional array.
  static Array copy_of(std::span<const value_type> values)
    requires(!std::is_const_v<T>)
  {
    Array array = uninitialized({values.size()});
    std::copy(values.begin(), values.end(), array.data_);
    return array;
  }

  /// Makes an array of elements at `data` that somebody else owns. `keep_alive` owns the memory; if
  /// it is null, the memory must outlive every copy of the array.
  static Array wrap(T* data, Shape shape, Order order = Order::c,
                    std::shared_ptr<void> keep_alive = nullptr) {
    const std::size_t bytes = detail::checked_elements(shape, sizeof(T)) * sizeof(T);
    auto storage = detail::wrap_storage(const_cast<value_type*>(data), bytes, !std::is_const_v<T>,
                                        std::move(keep_alive));
    return Array(std::move(storage), data, std::move(shape), order);
  }

  /// For loaders: elements at `data` inside `storage`, in C or Fortran order.
  Array(std::shared_ptr<detail::Storage> storage, T* data, Shape shape, Order order)
      : data_(data),
        size_(detail::checked_elements(shape, sizeof(T))),
        strides_(detail::dense_strides(shape, order)),
        storage_(std::move(storage)) {
    shape_ = std::move(shape);
  }

  /// Converts `Array<T>` to `Array<const T>`; both share the elements.
  template <class U>
    requires(std::is_const_v<T> && std::same_as<U, typename Array<T>::value_type>)
  Array(const Array<U>& other);

  /// Address of the first element.
  T* data() const noexcept { return data_; }
  /// Number of elements.
  std::size_t size() const noexcept { return size_; }
  /// Number of bytes of all elements.
  std::size_t nbytes() const noexcept { return size_ * sizeof(T); }
  bool empty() const noexcept { return size_ == 0; }
  /// Number of axes; 0 for a single value.
  std::size_t ndim() const noexcept { return shape_.size(); }
  /// Extent of each axis, outermost first.
  const Shape& shape() const noexcept { return shape_; }
  /// Extent of one axis. Throws std::out_of_range if there is no such axis.
  std::size_t shape(std::size_t axis) const { return shape_.at(axis); }
  /// Distance between neighbours along each axis, in elements and not in bytes; may be negative.
  const Strides& strides() const noexcept { return strides_; }
  /// Order of the elements in memory: Order::c for arrays that are dense in both orders (all
  /// one-dimensional dense arrays, for instance), Order::strided for arrays with gaps.
  Order order() const { return detail::order_of(shape_, strides_); }
  /// True if the elements have no gaps between them, in C or Fortran order.
  bool is_contiguous() const { return order() != Order::strided; }
  /// The owner of the memory. For serialization.
  const std::shared_ptr<detail::Storage>& storage() const noexcept { return storage_; }

  /// Element at the given indices, one per axis. Their number and range are asserted, so builds
  /// with NDEBUG do not check them.
  template <std::convertible_to<std::size_t>... Indices>
  T& operator()(Indices... indices) const noexcept {
    assert(sizeof...(indices) == ndim() && "hoist::Array: one index per axis");
    std::ptrdiff_t offset = 0;
    std::size_t axis = 0;
    [[maybe_unused]] const auto add = [&](std::size_t index) {
      assert(index < shape_[axis] && "hoist::Array: the index is out of range");
      offset += static_cast<std::ptrdiff_t>(index) * strides_[axis++];
    };
    (add(static_cast<std::size_t>(indices)), ...);
    return data_[offset];
  }

  /// Like `operator()`, but throws BadArgument for a wrong number of indices or an index out of
  /// range.
  template <std::convertible_to<std::size_t>... Indices>
  T& at(Indices... indices) const;

  /// Element `i` in memory order. The array must be contiguous; this and the range are asserted.
  T& operator[](std::size_t i) const noexcept {
    assert(i < size_ && "hoist::Array: the index is out of range");
    assert(is_contiguous() && "hoist::Array: a strided view has no order in memory; take copy()");
    return data_[i];
  }

  /// All elements in memory order. Throws BadArgument for a strided array; use `copy()` first.
  std::span<T> span() const {
    if (!is_contiguous()) detail::throw_not_dense();
    return {data_, size_};
  }
  /// Iterate over the elements in memory order. Throw like `span()`.
  T* begin() const { return span().data(); }
  T* end() const { return span().data() + size_; }

  /// The sub-array at `index` of the first axis, such as a row of a matrix. It has one dimension
  /// less and shares the elements. Throws BadArgument if the array is 0-d or `index` is out of
  /// range.
  Array row(std::size_t index) const;

  /// All `row`s in order, as a random-access range of views, which the caller may write through:
  /// `for (auto row : matrix.rows())`. Throws BadArgument if the array is 0-d.
  detail::ArrayRows<T> rows() const { return detail::ArrayRows<T>(*this); }

  /// The elements `from`, `from + step`, ... below `to` along `axis`; none if `from` is not below
  /// `to`. Shares the elements. Throws BadArgument if there is no such axis, `to` exceeds its
  /// extent, or `step` is 0.
  Array slice(std::size_t axis, std::size_t from, std::size_t to, std::size_t step = 1) const;

  /// The same elements with the axes reversed, so that C order becomes Fortran order.
  Array transposed() const;

  /// The same elements with other extents, in the same order in memory. Throws BadArgument if the
  /// array is strided or `shape` has another number of elements.
  Array reshaped(Shape shape) const;

  /// Copies the elements into new heap memory. Keeps C or Fortran order; a strided array becomes C.
  Array<value_type> copy() const { return astype<value_type>(); }

  /// Likewise, each element converted by static_cast (which is undefined for a floating-point
  /// number that an integer of type U can't hold).
  template <class U>
  Array<U> astype() const;

  /// Sets every element to `value`, in a strided view, too.
  void fill(value_type value) const
    requires(!std::is_const_v<T>);

  /// Calls `f(element)` for every element in C order, whatever the strides.
  template <class F>
  void for_each(F&& f) const;

  /// True if the shapes are equal and all elements compare equal, whatever their order in memory.
  friend bool operator==(const Array& a, const Array& b)
    requires std::equality_comparable<T>
  {
    return a.equals(b);
  }

  /// Writes the elements as NumPy prints them, `[[1 2] [3 4]]` with a line for each row, and `...`
  /// for the middle of each axis if there are more than 1000. The stream's settings format them.
  friend std::ostream& operator<<(std::ostream& to, const Array& array)
    requires detail::WritableElement<value_type>
  {
    return detail::write_array(to, array.shape_, array.strides_, array.data_,
                               &detail::write_element<value_type>);
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
  void swap(Array& other) noexcept;

  T* data_ = nullptr;
  std::size_t size_ = 0;
  Shape shape_;
  Strides strides_;
  std::shared_ptr<detail::Storage> storage_;
};

}  // namespace hoist

// The longer member functions.
#include <hoist/detail/array_members.hpp>
