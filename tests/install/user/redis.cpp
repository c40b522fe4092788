// SPDX-License-Identifier: BSD-3-Clause
//
// A program that is linked with hoist::redis knows such URLs, though nobody listens at this one.

#include <hoist/hoist.hpp>

int twice(int x) { return 2 * x; }

int main() {
  const hoist::Memory memory("redis://localhost:1/name",
                             {.on_store_error = hoist::OnStoreError::ignore});
  return memory.cache(twice)(4) == 8 && memory.stats().errors > 0 ? 0 : 1;
}
