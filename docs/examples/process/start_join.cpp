// SPDX-License-Identifier: BSD-3-Clause
//
// Four processes each sum a part of an array that they share; their parent waits for them, and
// looks how they ended.

#include <hoist/hoist.hpp>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

constexpr std::size_t parts = 4;
constexpr std::size_t size = 1000;

void sum_part(const hoist::Array<int>& numbers, const hoist::SharedArray<long>& sums,
              std::size_t part) {
  for (std::size_t i = part * size / parts; i < (part + 1) * size / parts; ++i) {
    sums[part] += numbers[i];
  }
  if (part == 3) std::exit(7);
}

}  // namespace

int main() {
  const auto numbers = hoist::Array<int>::shared({size});
  for (std::size_t i = 0; i < size; ++i) numbers[i] = static_cast<int>(i);
  const hoist::SharedArray<long> sums(parts);

  std::vector<hoist::Process> processes;
  for (std::size_t part = 0; part < parts; ++part) {
    processes.emplace_back(sum_part, numbers, sums, part);
    processes.back().start();
  }
  for (std::size_t part = 0; part < parts; ++part) {
    processes[part].join();
    std::printf("%s: sum %ld, exit code %d\n", processes[part].name().c_str(), long{sums[part]},
                processes[part].exitcode().value_or(-1));
  }
}
