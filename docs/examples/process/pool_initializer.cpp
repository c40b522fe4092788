// SPDX-License-Identifier: BSD-3-Clause
//
// Shared memory for the workers of a pool, in two ways: by an initializer, which each worker calls
// once, and more simply as an argument, since handles travel.

#include <hoist/hoist.hpp>

#include <cstdio>
#include <numeric>
#include <vector>

namespace {

hoist::SharedArray<long> keep(const hoist::SharedArray<long>& counts) { return counts; }

void count(const hoist::SharedArray<long>& counts, int n) {
  ++counts.lock()[static_cast<std::size_t>(n % 3)];
}
void count_here(int n) { count(hoist::worker_state<hoist::SharedArray<long>>(), n); }

}  // namespace

int main() {
  std::vector<int> numbers(30);
  std::iota(numbers.begin(), numbers.end(), 0);
  const hoist::SharedArray<long> counts(3);

  hoist::Pool pool({.processes = 2, .initializer = {keep, counts}});
  pool.map(count_here, numbers);
  std::printf("%ld %ld %ld\n", counts[0], counts[1], counts[2]);

  hoist::ProcessPoolExecutor executor({.max_workers = 2});
  std::vector<hoist::Future<void>> calls;
  for (const int n : numbers) calls.push_back(executor.submit(count, counts, n));
  hoist::wait(calls);
  std::printf("%ld %ld %ld\n", counts[0], counts[1], counts[2]);
}
