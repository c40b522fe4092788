// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/detail/hasher.hpp>
#include <hoist/digest.hpp>
#include <hoist/values.hpp>

namespace hoist {

/// The digest of one or more values: XXH3-128 of their types and contents.
///
/// Values of one type are the same exactly if their digests are (up to collisions of probability
/// 2^-128): floats count by their bits, so `-0.0` is not `0.0` and each NaN equals itself;
/// unordered containers hash independently of their order, shared pointers hash what they point to,
/// and arrays hash shape, order (which `==` ignores) and elements wherever these are (heap, file
/// mapping, shared segment, strided view). Padding never counts. Values of different types have
/// different digests: `hash(1) != hash(1.0)`. The digest is the same in every process and run and
/// with every compiler.
///
/// An object of a derived class that is known by its base hashes in full if hoist knows the class
/// (hoist/polymorphic.hpp); otherwise it throws BadArgument.
///
/// Takes any value type of <hoist/values.hpp>, and std::span, which hashes as a std::vector of the
/// same elements. Any other type is a compile-time error that names it. Not secure against
/// deliberate collisions. Thread-safe. Cost: one pass at memory bandwidth; arrays of 32 MiB and
/// more use all cores.
template <class... Ts>
[[nodiscard]] Digest hash(const Ts&... values) {
  detail::Hasher hasher;
  (detail::hash_typed(hasher, values), ...);
  return hasher.digest();
}

}  // namespace hoist
