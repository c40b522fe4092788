// SPDX-License-Identifier: BSD-3-Clause
//
// A pool applies one function to many numbers; several numbers make one message.

#include <hoist/hoist.hpp>

#include <cstdio>
#include <numeric>
#include <utility>
#include <vector>

namespace {

int square(int x) { return x * x; }
int power(int base, int exponent) {
  int result = 1;
  for (int i = 0; i < exponent; ++i) result *= base;
  return result;
}

}  // namespace

int main() {
  std::vector<int> numbers(10);
  std::iota(numbers.begin(), numbers.end(), 0);
  hoist::Pool pool({.processes = 2});

  for (const int y : pool.map(square, numbers, 3)) std::printf("%d ", y);  // chunks of three
  std::printf("\n");
  const std::vector<std::pair<int, int>> pairs{{2, 3}, {3, 2}, {10, 4}};
  for (const int y : pool.starmap(power, pairs)) std::printf("%d ", y);
  std::printf("\n");
  int sum = 0;
  for (const int y : pool.imap_unordered(square, numbers)) sum += y;  // as they get ready
  std::printf("sum %d\n", sum);
  pool.close();
  pool.join();
}
