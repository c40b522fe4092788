// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/array.hpp>
#include <hoist/detail/form_array.hpp>
#include <hoist/detail/forms.hpp>
#include <hoist/detail/forms_std.hpp>
#include <hoist/error.hpp>

#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace hoist::detail {

template <class M>
inline constexpr bool is_eigen_dense = false;
template <class S, int R, int C, int O, int MR, int MC>
inline constexpr bool is_eigen_dense<Eigen::Matrix<S, R, C, O, MR, MC>> = true;
template <class S, int R, int C, int O, int MR, int MC>
inline constexpr bool is_eigen_dense<Eigen::Array<S, R, C, O, MR, MC>> = true;

/// Eigen::Matrix and Eigen::Array, the dense types that own their elements.
template <class M>
concept EigenDense = is_eigen_dense<std::remove_const_t<M>>;

template <class M>
inline constexpr Order eigen_order = M::IsRowMajor ? Order::c : Order::fortran;

template <class M>
Shape shape_of(const M& matrix) {
  if constexpr (M::IsVectorAtCompileTime) {
    return {static_cast<std::size_t>(matrix.size())};
  } else {
    return {static_cast<std::size_t>(matrix.rows()), static_cast<std::size_t>(matrix.cols())};
  }
}

/// The rows and columns of a matrix of type M that holds an array of that shape; empty if no such
/// matrix exists.
template <class M>
std::optional<std::pair<Eigen::Index, Eigen::Index>> eigen_size(const Shape& shape) {
  constexpr bool vector = M::IsVectorAtCompileTime;
  const auto fits = [](std::size_t extent, Eigen::Index exact, Eigen::Index most) {
    return exact == Eigen::Dynamic
               ? most == Eigen::Dynamic || extent <= static_cast<std::size_t>(most)
               : extent == static_cast<std::size_t>(exact);
  };
  std::size_t rows = 0;
  std::size_t cols = 0;
  if (vector && shape.size() == 1) {
    constexpr bool column = M::ColsAtCompileTime == 1;
    rows = column ? shape[0] : 1;
    cols = column ? 1 : shape[0];
  } else if (shape.size() == 2) {
    rows = shape[0];
    cols = shape[1];
  } else {
    return std::nullopt;
  }
  if (!fits(rows, M::RowsAtCompileTime, M::MaxRowsAtCompileTime) ||
      !fits(cols, M::ColsAtCompileTime, M::MaxColsAtCompileTime)) {
    return std::nullopt;
  }
  return std::pair(static_cast<Eigen::Index>(rows), static_cast<Eigen::Index>(cols));
}

[[noreturn]] inline void throw_eigen_shape(const Shape& shape) {
  std::string text;
  for (const std::size_t extent : shape) {
    text += (text.empty() ? "" : " x ") + std::to_string(extent);
  }
  throw WrongType("an array of " + (text.empty() ? std::string("no dimensions") : text) +
                  " does not fit into the Eigen type asked for, which has another size or number "
                  "of dimensions");
}

/// Vectors of fixed size, encoded like std::array.
template <class M, class S = typename M::Scalar>
struct EigenFixedForm : FormOf<S> {
  static constexpr auto size = static_cast<std::size_t>(M::SizeAtCompileTime);
  static void schema(SchemaWriter& writer) { Form<std::array<S, size>>::schema(writer); }
  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    if constexpr (is_block<S>()) {
      ar.block(value.data(), size);
    } else {
      for (std::size_t i = 0; i < size; ++i) Form<S>::traverse(ar, value.data()[i]);
    }
  }
};

/// All other dense types, encoded like Array.
template <class M, class S = typename M::Scalar>
struct EigenArrayForm {
  template <class... Open>
  static constexpr bool supported() {
    return is_array_element<S>();
  }
  static void schema(SchemaWriter& writer) { Form<Array<S>>::schema(writer); }

  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    if constexpr (Ar::decoding) {
      read(ar, value);
    } else {
      Shape shape = shape_of(value);
      const bool either = value.rows() <= 1 || value.cols() <= 1;
      traverse_elements(ar, value.data(), std::move(shape), either ? Order::c : eigen_order<M>, {});
    }
  }

 private:
  template <class Ar>
  static void read(Ar& ar, M& value) {
    Shape shape;
    Order order{};
    traverse_extents(ar, shape, order);
    const auto size = eigen_size<M>(shape);
    if (!size) throw_eigen_shape(shape);
    std::size_t n = 0;
    try {
      n = checked_elements(shape, sizeof(S));
    } catch (const BadArgument&) {
      Decoder::throw_damaged();
    }
    const std::size_t bytes = ar.template expect_block<S>(n, true);
    value.resize(size->first, size->second);
    ar.read_array_block(value.data(), bytes);
    if constexpr (std::is_same_v<S, bool>) {
      check_bools(reinterpret_cast<const std::byte*>(value.data()), n);
    }
    if (order == eigen_order<M> || size->first <= 1 || size->second <= 1) return;
    using Other = Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic,
                                M::IsRowMajor ? Eigen::ColMajor : Eigen::RowMajor>;
    const Other other = Eigen::Map<const Other>(value.data(), size->first, size->second);
    for (Eigen::Index i = 0; i < size->first; ++i) {
      for (Eigen::Index j = 0; j < size->second; ++j) value(i, j) = other(i, j);
    }
  }
};

template <class M>
inline constexpr bool is_fixed_vector =
    M::IsVectorAtCompileTime && M::SizeAtCompileTime != Eigen::Dynamic && M::SizeAtCompileTime > 0;
template <class M>
using EigenForm = std::conditional_t<is_fixed_vector<M>, EigenFixedForm<M>, EigenArrayForm<M>>;

template <class S, int R, int C, int O, int MR, int MC>
struct Form<Eigen::Matrix<S, R, C, O, MR, MC>> : EigenForm<Eigen::Matrix<S, R, C, O, MR, MC>> {};
template <class S, int R, int C, int O, int MR, int MC>
struct Form<Eigen::Array<S, R, C, O, MR, MC>> : EigenForm<Eigen::Array<S, R, C, O, MR, MC>> {};

/// A view hashes and is written as the matrix that it shows.
template <class M, int O, class Strides>
struct ShownBy<Eigen::Ref<const M, O, Strides>> {
  using type = M;
};
template <class M, int O, class Strides>
struct Form<Eigen::Ref<const M, O, Strides>> : FormOf<M> {
  static void schema(SchemaWriter& writer) { Form<M>::schema(writer); }
  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    static_assert(!Ar::decoding,
                  "an Eigen::Ref only refers to a matrix: load, return or hold the matrix itself");
    if (value.innerStride() == 1 &&
        (value.outerSize() <= 1 || value.outerStride() == value.innerSize())) {
      EigenForm<M>::traverse(ar, value);
    } else {
      const M dense = value;
      const typename Ar::UserCode temporary(ar);
      EigenForm<M>::traverse(ar, dense);
    }
  }
};

// Eigen/Core declares the classes of Eigen/Geometry.
template <class S, int O>
struct Form<Eigen::Quaternion<S, O>> : FormOf<S> {
  using Coefficients = EigenFixedForm<Eigen::Matrix<S, 4, 1>>;
  static void schema(SchemaWriter& writer) { Coefficients::schema(writer); }
  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    Coefficients::traverse(ar, value.coeffs());
  }
};
template <class S, int O>
struct BlockTraits<Eigen::Quaternion<S, O>> : BlockTraits<std::array<S, 4>> {};

template <class S, int D, int Mode, int O>
struct Form<Eigen::Transform<S, D, Mode, O>>
    : EigenArrayForm<typename Eigen::Transform<S, D, Mode, O>::MatrixType> {
  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    EigenArrayForm<typename V::MatrixType>::traverse(ar, value.matrix());
  }
};

template <class M, class S = typename M::Scalar>
struct EigenBlockTraits {
  static constexpr auto size =
      is_fixed_vector<M> ? static_cast<std::size_t>(M::SizeAtCompileTime) : 0;
  static constexpr bool plain = size > 0 && BlockTraits<S>::plain && sizeof(M) == size * sizeof(S);
  static constexpr NaturalLayout natural = {size * BlockTraits<S>::natural.size,
                                            BlockTraits<S>::natural.align,
                                            size > 0 && BlockTraits<S>::natural.block};
};
template <class S, int R, int C, int O, int MR, int MC>
struct BlockTraits<Eigen::Matrix<S, R, C, O, MR, MC>>
    : EigenBlockTraits<Eigen::Matrix<S, R, C, O, MR, MC>> {};
template <class S, int R, int C, int O, int MR, int MC>
struct BlockTraits<Eigen::Array<S, R, C, O, MR, MC>>
    : EigenBlockTraits<Eigen::Array<S, R, C, O, MR, MC>> {};

}  // namespace hoist::detail
