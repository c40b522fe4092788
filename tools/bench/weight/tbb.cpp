// SPDX-License-Identifier: BSD-3-Clause
#include <oneapi/tbb.h>

#include <cstdio>
#include <vector>

int main(int argc, char**) {
  std::vector<int> numbers(10, argc);
  oneapi::tbb::parallel_for(0, 10, [&](int i) { numbers[static_cast<unsigned>(i)] *= 2; });
  std::printf("%d\n", numbers[0]);
}
