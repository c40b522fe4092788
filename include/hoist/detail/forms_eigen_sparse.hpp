// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/array.hpp>
#include <hoist/detail/form_array.hpp>
#include <hoist/detail/forms.hpp>
#include <hoist/detail/forms_std.hpp>
#include <hoist/error.hpp>

#include <Eigen/SparseCore>
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace hoist::detail {

/// The members of a sparse matrix as they are stored; the names are SciPy's.
template <class S, class I>
struct SparseParts {
  std::string format;
  std::array<std::int64_t, 2> shape;
  Array<const I> indptr;
  Array<const I> indices;
  Array<const S> data;
};

/// Throws DamagedData unless all indices are inside a matrix of these extents.
template <class S, class I>
void check_sparse(const SparseParts<S, I>& parts, std::int64_t outer, std::int64_t inner) {
  const auto most = static_cast<std::int64_t>(std::numeric_limits<I>::max());
  bool good = outer >= 0 && inner >= 0 && outer < most && inner <= most &&
              parts.indptr.ndim() == 1 && parts.indices.ndim() == 1 && parts.data.ndim() == 1 &&
              parts.indptr.size() == static_cast<std::size_t>(outer) + 1 &&
              parts.indices.size() == parts.data.size() && parts.indptr[0] == 0;
  for (std::size_t i = 1; good && i < parts.indptr.size(); ++i) {
    good = parts.indptr[i - 1] <= parts.indptr[i];
  }
  good = good &&
         static_cast<std::size_t>(parts.indptr[parts.indptr.size() - 1]) == parts.indices.size();
  for (std::size_t i = 0; good && i < parts.indices.size(); ++i) {
    good = parts.indices[i] >= 0 && parts.indices[i] < inner;
  }
  if (!good) throw DamagedData("a sparse matrix has indices that do not fit its shape");
}

template <class S, int O, class I>
struct Form<Eigen::SparseMatrix<S, O, I>> {
  using M = Eigen::SparseMatrix<S, O, I>;
  using Parts = SparseParts<S, I>;

  template <class... Open>
  static constexpr bool supported() {
    return is_array_element<S>();
  }
  static void schema(SchemaWriter& writer) { Form<Parts>::schema(writer); }

  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    if constexpr (Ar::decoding) {
      Parts parts;
      Form<Parts>::traverse(ar, parts);
      value = made_of(parts);
    } else if (!value.isCompressed()) {
      M compressed = value;
      compressed.makeCompressed();
      const typename Ar::UserCode temporary(ar);
      write(ar, compressed);
    } else {
      write(ar, value);
    }
  }

 private:
  template <class Ar>
  static void write(Ar& ar, const M& value) {
    const std::string format = M::IsRowMajor ? "csr" : "csc";
    const std::array<std::int64_t, 2> shape{value.rows(), value.cols()};
    Form<std::string>::traverse(ar, format);
    Form<std::array<std::int64_t, 2>>::traverse(ar, shape);
    const auto outer = static_cast<std::size_t>(value.outerSize()) + 1;
    const auto filled = static_cast<std::size_t>(value.nonZeros());
    // An empty matrix may have no memory at all.
    static constexpr I zero = 0;
    const I* starts = value.outerIndexPtr() != nullptr ? value.outerIndexPtr() : &zero;
    traverse_elements(ar, starts, {outer}, Order::c, {});
    traverse_elements(ar, value.innerIndexPtr(), {filled}, Order::c, {});
    traverse_elements(ar, value.valuePtr(), {filled}, Order::c, {});
  }

  static M made_of(const Parts& parts) {
    if (parts.format != "csc" && parts.format != "csr") {
      throw WrongType("a sparse matrix of format \"" + parts.format.substr(0, 20) +
                      "\" where \"csc\" or \"csr\" is asked for");
    }
    const bool by_rows = parts.format == "csr";
    const auto [rows, cols] = parts.shape;
    check_sparse(parts, by_rows ? rows : cols, by_rows ? cols : rows);
    // Sorts and merges the entries, which Eigen requires and SciPy does not guarantee.
    std::vector<Eigen::Triplet<S, I>> entries;
    const auto map = [&]<int Options>() -> M {
      using Stored = Eigen::SparseMatrix<S, Options, I>;
      const Eigen::Map<const Stored> stored(
          rows, cols, static_cast<Eigen::Index>(parts.data.size()), parts.indptr.data(),
          parts.indices.data(), parts.data.data());
      if (is_sorted(parts)) return M(stored);
      entries.reserve(parts.data.size());
      for (Eigen::Index i = 0; i < stored.outerSize(); ++i) {
        for (typename Eigen::Map<const Stored>::InnerIterator it(stored, i); it; ++it) {
          entries.emplace_back(static_cast<I>(it.row()), static_cast<I>(it.col()), it.value());
        }
      }
      M merged(rows, cols);
      merged.setFromTriplets(entries.begin(), entries.end());
      return merged;
    };
    return by_rows ? map.template operator()<Eigen::RowMajor>()
                   : map.template operator()<Eigen::ColMajor>();
  }

  static bool is_sorted(const Parts& parts) {
    for (std::size_t i = 1; i < parts.indptr.size(); ++i) {
      const auto from = static_cast<std::size_t>(parts.indptr[i - 1]);
      const auto to = static_cast<std::size_t>(parts.indptr[i]);
      for (std::size_t k = from + 1; k < to; ++k) {
        if (parts.indices[k - 1] >= parts.indices[k]) return false;
      }
    }
    return true;
  }
};

}  // namespace hoist::detail
