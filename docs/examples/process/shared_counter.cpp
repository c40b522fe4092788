// SPDX-License-Identifier: BSD-3-Clause
//
// A counter that worker processes share. Read, then written, it loses what others add in between;
// with its lock, or by one atomic operation, it does not.

#include <hoist/hoist.hpp>

#include <cstdio>
#include <vector>

namespace {

constexpr int steps = 100'000;

void count_badly(const hoist::SharedValue<long>& counter) {
  for (int i = 0; i < steps; ++i) counter.set(counter.get() + 1);
}

void count_with_lock(const hoist::SharedValue<long>& counter) {
  for (int i = 0; i < steps; ++i) {
    const auto locked = counter.lock();
    *locked += 1;
  }
}

void count_atomically(const hoist::SharedValue<long>& counter) {
  for (int i = 0; i < steps; ++i) counter.fetch_add(1);
}

long run(void (*task)(const hoist::SharedValue<long>&)) {
  const hoist::SharedValue<long> counter(0);
  hoist::Parallel({.n_jobs = 2, .backend = "spawn"})(std::vector(2, hoist::delayed(task)(counter)));
  return counter.get();
}

}  // namespace

int main() {
  if (run(count_badly) > 2 * steps) return 1;
  std::puts("without a lock: anything up to 200000");
  std::printf("with its lock: %ld\n", run(count_with_lock));
  std::printf("atomically: %ld\n", run(count_atomically));
}
