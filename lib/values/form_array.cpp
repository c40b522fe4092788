// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/form_array.hpp>
#include <hoist/error.hpp>

namespace hoist::detail {

void check_bools(const std::byte* data, std::size_t n) {
  unsigned char all = 0;
  for (std::size_t i = 0; i < n; ++i) {
    all = static_cast<unsigned char>(all | std::to_integer<unsigned char>(data[i]));
  }
  if (all > 1) throw DamagedData("a bool in the data is neither 0 nor 1");
}

}  // namespace hoist::detail
