// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <compare>
#include <cstddef>
#include <iterator>
#include <utility>

namespace hoist {

template <class T>
class Array;

namespace detail {

[[noreturn]] void throw_rank(std::size_t given, std::size_t rank);

/// The range that Array::rows() returns. It shares the elements; its iterators refer to it.
template <class T>
class ArrayRows {
 public:
  class Iterator {
   public:
    using iterator_concept = std::random_access_iterator_tag;
    using iterator_category = std::input_iterator_tag;  // *it is no reference
    using value_type = Array<T>;
    using difference_type = std::ptrdiff_t;

    Iterator() = default;
    Iterator(const Array<T>& array, difference_type at) : array_(&array), at_(at) {}

    value_type operator*() const { return array_->row(static_cast<std::size_t>(at_)); }
    value_type operator[](difference_type n) const { return *(*this + n); }
    Iterator& operator+=(difference_type n) {
      at_ += n;
      return *this;
    }
    Iterator& operator-=(difference_type n) { return *this += -n; }
    Iterator& operator++() { return *this += 1; }
    Iterator& operator--() { return *this += -1; }
    Iterator operator++(int) { return std::exchange(*this, *this + 1); }
    Iterator operator--(int) { return std::exchange(*this, *this - 1); }
    friend Iterator operator+(Iterator it, difference_type n) { return it += n; }
    friend Iterator operator+(difference_type n, Iterator it) { return it += n; }
    friend Iterator operator-(Iterator it, difference_type n) { return it -= n; }
    friend difference_type operator-(Iterator a, Iterator b) { return a.at_ - b.at_; }
    friend bool operator==(Iterator a, Iterator b) { return a.at_ == b.at_; }
    friend auto operator<=>(Iterator a, Iterator b) { return a.at_ <=> b.at_; }

   private:
    const Array<T>* array_ = nullptr;
    difference_type at_ = 0;
  };

  explicit ArrayRows(Array<T> array) : array_(std::move(array)) {
    if (array_.ndim() == 0) throw_rank(1, 0);
  }
  std::size_t size() const { return array_.shape(0); }
  Iterator begin() const { return {array_, 0}; }
  Iterator end() const { return {array_, static_cast<std::ptrdiff_t>(size())}; }

 private:
  Array<T> array_;
};

}  // namespace detail
}  // namespace hoist
