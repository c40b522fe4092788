// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/hasher.hpp>
#include <hoist/digest.hpp>
#include <hoist/values.hpp>

namespace hoist {

/// The digest of one or more values: XXH3-128 over their types and contents.
///
/// Values of one type are equal exactly when their digests are (up to 2^-128 collisions): `-0.0`
/// counts as `0.0`, every NaN as the same NaN, unordered containers hash independent of their
/// order, shared pointers by what they point to, arrays by shape, order and elements wherever these
/// live (heap, file mapping, shared segment, strided view). Values of different types differ:
/// `hash(1) != hash(1.0)`. The digest is the same in every process, run and compiler.
///
/// Takes any value type of <hoist/values.hpp>, and std::span, which hashes as a std::vector of its
/// elements does; anything else is a compile-time error that names
/// the type. Not meant against deliberate collisions. Thread-safe. Cost: memory bandwidth (arrays
/// of floats are read once, normalised only in the blocks that need it).
template <class... Ts>
Digest hash(const Ts&... values) {
  detail::Hasher hasher;
  (detail::hash_typed(hasher, values), ...);
  return hasher.digest();
}

}  // namespace hoist
