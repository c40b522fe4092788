// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>

// Stores to memory that other processes read. A process may be killed between any two of them, so
// each must leave the memory in order.

namespace hoist::detail::multiprocess {

/// Called before each store, if set: tests end the process there.
inline constinit std::atomic<void (*)()> before_store{nullptr};

inline void about_to_store() {
  if (auto* const hook = before_store.load(std::memory_order_relaxed)) hook();
}

template <class T>
void store(std::atomic<T>& to, T value, std::memory_order order = std::memory_order_seq_cst) {
  about_to_store();
  to.store(value, order);
}

}  // namespace hoist::detail::multiprocess
