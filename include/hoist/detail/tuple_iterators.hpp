// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <compare>
#include <concepts>
#include <cstddef>
#include <iterator>
#include <tuple>
#include <type_traits>
#include <utility>

// The iterators behind zip() and product() before C++23, as far as loops need them.

namespace hoist::detail {

/// A tuple of references, which a tuple of values converts to, as tuples do from C++23 on: without
/// that, iterators to the first with values of the second are none for the standard library.
template <class... Types>
struct References : std::tuple<Types...> {
  using std::tuple<Types...>::tuple;
  template <class... Values>
    requires(std::is_constructible_v<Types, Values&> && ...)
  constexpr References(std::tuple<Values...>& values)
      : std::tuple<Types...>(
            std::apply([](auto&... each) { return std::tuple<Types...>(each...); }, values)) {}
};

template <class... Iterators>
struct TuplesOf {
  using value_type = std::tuple<std::iter_value_t<Iterators>...>;
  using reference = References<std::iter_reference_t<Iterators>...>;
};

/// A random access iterator to what `source(i)` returns.
template <class Source>
class IndexIterator {
 public:
  using value_type = typename Source::value_type;
  using reference = typename Source::reference;
  using difference_type = std::ptrdiff_t;
  using iterator_concept = std::random_access_iterator_tag;
  using iterator_category = std::input_iterator_tag;  // of C++17, where others give references

  constexpr IndexIterator() = default;
  constexpr IndexIterator(Source source, difference_type index)
      : source_(std::move(source)), index_(index) {}

  constexpr reference operator*() const { return source_(index_); }
  constexpr reference operator[](difference_type n) const { return source_(index_ + n); }
  constexpr IndexIterator& operator++() { return *this += 1; }
  constexpr IndexIterator operator++(int) { return std::exchange(*this, *this + 1); }
  constexpr IndexIterator& operator--() { return *this += -1; }
  constexpr IndexIterator operator--(int) { return std::exchange(*this, *this - 1); }
  constexpr IndexIterator& operator+=(difference_type n) {
    index_ += n;
    return *this;
  }
  constexpr IndexIterator& operator-=(difference_type n) { return *this += -n; }
  friend constexpr IndexIterator operator+(IndexIterator at, difference_type n) { return at += n; }
  friend constexpr IndexIterator operator+(difference_type n, IndexIterator at) { return at += n; }
  friend constexpr IndexIterator operator-(IndexIterator at, difference_type n) { return at -= n; }
  friend constexpr difference_type operator-(const IndexIterator& a, const IndexIterator& b) {
    return a.index_ - b.index_;
  }
  friend constexpr bool operator==(const IndexIterator& a, const IndexIterator& b) {
    return a.index_ == b.index_;
  }
  friend constexpr auto operator<=>(const IndexIterator& a, const IndexIterator& b) {
    return a.index_ <=> b.index_;
  }

 private:
  Source source_{};
  difference_type index_ = 0;
};

/// The elements at one index of each range.
template <class... Iterators>
struct ZipSource : TuplesOf<Iterators...> {
  std::tuple<Iterators...> begins;

  constexpr auto operator()(std::ptrdiff_t i) const {
    return std::apply(
        [i](const auto&... begin) {
          return typename ZipSource::reference(
              begin[static_cast<std::iter_difference_t<Iterators>>(i)]...);
        },
        begins);
  }
};

/// The elements at the digits of an index, whose last digit counts the elements of the last range.
template <class... Iterators>
struct ProductSource : TuplesOf<Iterators...> {
  std::tuple<Iterators...> begins;
  std::array<std::ptrdiff_t, sizeof...(Iterators)> sizes{};

  constexpr auto operator()(std::ptrdiff_t i) const {
    std::array<std::ptrdiff_t, sizeof...(Iterators)> digits{};
    for (std::size_t k = sizeof...(Iterators); k-- > 0; i /= sizes[k]) digits[k] = i % sizes[k];
    return [&]<std::size_t... K>(std::index_sequence<K...>) {
      return typename ProductSource::reference(
          std::get<K>(begins)[static_cast<std::iter_difference_t<Iterators>>(digits[K])]...);
    }(std::index_sequence_for<Iterators...>{});
  }
};

/// Of ranges that can't be indexed.
template <class... Iterators>
class ZipIterator {
  static constexpr bool forward = (std::forward_iterator<Iterators> && ...);

 public:
  using value_type = typename TuplesOf<Iterators...>::value_type;
  using reference = typename TuplesOf<Iterators...>::reference;
  using difference_type = std::ptrdiff_t;
  using iterator_concept =
      std::conditional_t<forward, std::forward_iterator_tag, std::input_iterator_tag>;

  constexpr ZipIterator() = default;
  constexpr explicit ZipIterator(Iterators... parts) : parts_(std::move(parts)...) {}

  constexpr reference operator*() const {
    return std::apply([](const auto&... parts) { return reference(*parts...); }, parts_);
  }
  constexpr ZipIterator& operator++() {
    std::apply([](auto&... parts) { (++parts, ...); }, parts_);
    return *this;
  }
  constexpr auto operator++(int) {
    if constexpr (forward) {
      ZipIterator before = *this;
      ++*this;
      return before;
    } else {
      ++*this;
    }
  }
  friend constexpr bool operator==(const ZipIterator& a, const ZipIterator& b)
    requires forward
  {
    return a.parts_ == b.parts_;
  }
  template <class... Ends>
  constexpr bool any_is(const std::tuple<Ends...>& ends) const {
    return [&]<std::size_t... K>(std::index_sequence<K...>) {
      return ((std::get<K>(parts_) == std::get<K>(ends)) || ...);
    }(std::index_sequence_for<Iterators...>{});
  }

 private:
  std::tuple<Iterators...> parts_;
};
/// The end of the range that ends first.
template <class... Ends>
struct ZipEnd {
  std::tuple<Ends...> ends;
  template <class... Iterators>
  friend constexpr bool operator==(const ZipIterator<Iterators...>& at, const ZipEnd& end) {
    return at.any_is(end.ends);
  }
};

}  // namespace hoist::detail

template <class... Types>
struct std::tuple_size<hoist::detail::References<Types...>>
    : std::integral_constant<std::size_t, sizeof...(Types)> {};
template <std::size_t I, class... Types>
struct std::tuple_element<I, hoist::detail::References<Types...>>
    : std::tuple_element<I, std::tuple<Types...>> {};
template <class... Types, class... Values, template <class> class A, template <class> class B>
  requires(sizeof...(Types) == sizeof...(Values))
struct std::basic_common_reference<hoist::detail::References<Types...>, std::tuple<Values...>, A,
                                   B> {
  using type = hoist::detail::References<std::common_reference_t<A<Types>, B<Values>>...>;
};
template <class... Values, class... Types, template <class> class A, template <class> class B>
  requires(sizeof...(Types) == sizeof...(Values))
struct std::basic_common_reference<std::tuple<Values...>, hoist::detail::References<Types...>, A,
                                   B> {
  using type = hoist::detail::References<std::common_reference_t<A<Values>, B<Types>>...>;
};
