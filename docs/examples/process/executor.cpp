// SPDX-License-Identifier: BSD-3-Clause
//
// Calls in worker processes: submitted one by one, mapped, and taken as they get done.

#include <hoist/hoist.hpp>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

namespace {

long count_primes(long from, long to) {
  long found = 0;
  for (long n = std::max(2L, from); n < to; ++n) {
    bool prime = true;
    for (long d = 2; d * d <= n && prime; ++d) prime = n % d != 0;
    found += prime ? 1 : 0;
  }
  return found;
}

}  // namespace

int main() {
  hoist::ProcessPoolExecutor executor({.max_workers = 2});
  const hoist::Future<long> first = executor.submit(count_primes, 0, 1000);
  std::printf("below 1000: %ld\n", first.result());

  std::vector<hoist::Future<long>> parts;
  for (long from = 0; from < 10000; from += 1000) {
    parts.push_back(executor.submit(count_primes, from, from + 1000));
  }
  long sum = 0;
  for (const auto& part : hoist::as_completed(parts)) sum += part.result();
  std::printf("below 10000: %ld\n", sum);

  const std::vector<std::string> words{"a", "bb", "ccc"};
  for (const std::size_t n : executor.map(words, [](const std::string& w) { return w.size(); })) {
    std::printf("%zu ", n);
  }
  const auto doubled = first.then([](long n) { return 2 * n; });
  std::printf("\ntwice: %ld\n", doubled.result());
}
