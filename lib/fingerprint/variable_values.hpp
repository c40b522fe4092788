// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/digest.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace hoist::detail::fingerprint {

/// Bytes of a variable that code reads and nothing it reaches writes.
struct VariableBytes {
  std::uint64_t begin = 0;  ///< run-time address, or distance from the thread pointer
  std::uint64_t size = 0;
  bool is_thread_local = false;
};

/// A digest of what the variables hold now. Words that are addresses in this process count as
/// addresses, not with their value, which differs from run to run. No lock; cost: 0.1 us, a read of
/// the bytes, and a system call of 0.2 us for each word that could be an address.
Digest digest_values(std::span<const VariableBytes> variables);

/// Whether such a word is among them.
bool hold_addresses(std::span<const VariableBytes> variables);

}  // namespace hoist::detail::fingerprint
