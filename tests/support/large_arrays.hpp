// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/array.hpp>

#include <cstddef>

// Tasks whose arguments and results travel apart from the messages of a loop.

namespace support {

inline double total(const hoist::Array<double>& x, int j) {
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += x.data()[i];
  return sum + j;
}

/// 4 MiB.
inline hoist::Array<double> multiples(int of) {
  hoist::Array<double> made({1 << 19});
  for (int i = 0; i < 1 << 19; ++i) made.data()[i] = i * of;
  return made;
}

}  // namespace support
