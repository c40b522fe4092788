// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Opt-in: this header needs Eigen 3.3 or later, which hoist itself does not.
#include <hoist/detail/requirements.hpp>

#include <hoist/array.hpp>
#include <hoist/detail/forms_eigen.hpp>
#include <hoist/detail/forms_eigen_sparse.hpp>
#include <hoist/error.hpp>

#include <Eigen/Core>
#include <Eigen/SparseCore>
#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

namespace hoist {

// With this header Eigen's matrices are values: they can be dumped and loaded, hashed, be arguments
// and results of cached functions and travel to workers, alone or inside structs and containers.
//
// - Eigen::Matrix and Eigen::Array of dynamic size, and matrices of fixed size, are stored like
//   the hoist::Array of equal shape and order: files of one load as the other, NumPy reads them as
//   arrays, and their hashes are equal. Vectors have one dimension. Loading takes either order; an
//   array of another size than the type has is a WrongType.
// - Vectors of fixed size are stored as std::array, in place: a std::vector<Eigen::Vector3d> is one
//   block of memory.
// - Eigen::Quaternion is stored as its four coefficients x, y, z, w, Eigen::Transform (Isometry3d,
//   Affine3d, ...) as its matrix.
// - Eigen::Ref<const M> is hashed, dumped and sent to tasks as the matrix that it shows, without a
//   copy if that is dense. It can't be loaded or be a result: it owns nothing.
// - Eigen::SparseMatrix is stored as SciPy's members format ("csc" or "csr"), shape, indptr,
//   indices and data: `scipy.sparse.load_npz` reads one that was dumped to a .npz.

/// A plain matrix's elements as an Array that refers to them, without a copy. The matrix must
/// outlive every copy of the array and must not be resized. Vectors have one dimension.
template <detail::EigenDense M>
[[nodiscard]] auto as_array(M& matrix) {
  using T = std::remove_pointer_t<decltype(matrix.data())>;
  return Array<T>::wrap(matrix.data(), detail::shape_of(matrix), detail::eigen_order<M>);
}

/// Likewise for a temporary or moved matrix, which the array then owns. No elements are copied if
/// the matrix has a dynamic size.
template <detail::EigenDense M>
  requires(!std::is_reference_v<M> && !std::is_const_v<M>)
[[nodiscard]] auto as_array(M&& matrix) {
  auto keep = std::make_shared<M>(std::forward<M>(matrix));
  auto* data = keep->data();
  Shape shape = detail::shape_of(*keep);
  return Array<typename M::Scalar>::wrap(data, std::move(shape), detail::eigen_order<M>,
                                         std::move(keep));
}

/// An array's elements as an Eigen map of dynamic size that refers to them, without a copy,
/// whatever their order or strides. One dimension becomes a column. The array must outlive the map.
/// Throws BadArgument unless the array has one or two dimensions. Eigen computes faster on the
/// result of `as_eigen<M>` below, whose type says that the elements are dense.
template <detail::AnyArray A>
[[nodiscard]] auto as_eigen(const A& array) {
  using T = typename A::element_type;
  using Matrix = Eigen::Matrix<std::remove_const_t<T>, Eigen::Dynamic, Eigen::Dynamic>;
  using Mapped = std::conditional_t<std::is_const_v<T>, const Matrix, Matrix>;
  using Strided = Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>;
  if (array.ndim() < 1 || array.ndim() > 2) detail::throw_rank(2, array.ndim());
  const bool column = array.ndim() == 1;
  const auto extent = [&](std::size_t axis) {
    return static_cast<Eigen::Index>(array.shape(axis));
  };
  return Eigen::Map<Mapped, Eigen::Unaligned, Strided>(
      array.data(), extent(0), column ? 1 : extent(1),
      Strided(column ? 0 : array.strides()[1], array.strides()[0]));
}

/// Likewise for a given matrix type: `as_eigen<Eigen::MatrixXd>(array)`. Throws BadArgument if the
/// array's shape or order is not that of the type. Eigen's default order is Fortran: make the array
/// in that order, or ask for a row-major matrix.
template <detail::EigenDense M, class T>
[[nodiscard]] auto as_eigen(const Array<T>& array) {
  static_assert(std::is_same_v<std::remove_const_t<T>, typename M::Scalar>,
                "the matrix and the array must have the same type of elements");
  using Mapped = std::conditional_t<std::is_const_v<T>, const M, M>;
  const auto size = detail::eigen_size<M>(array.shape());
  const Order order = array.order();
  if (!size) detail::throw_eigen_shape(array.shape());
  const bool either = size->first <= 1 || size->second <= 1;
  if (order == Order::strided || (!either && order != detail::eigen_order<M>)) {
    throw BadArgument(
        "as_eigen: the array's elements lie in another order than the matrix type's; ask for a "
        "type of the other order, or copy the array");
  }
  return Eigen::Map<Mapped>(array.data(), size->first, size->second);
}

/// A map does not keep its array alive, so it can't be made from a temporary array.
template <detail::AnyArray A>
void as_eigen(const A&& array) = delete;
template <detail::EigenDense M, class T>
void as_eigen(const Array<T>&& array) = delete;

}  // namespace hoist
