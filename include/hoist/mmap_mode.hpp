// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

namespace hoist {

/// How arrays come into memory: read, or mapped from the file without a copy.
enum class MmapMode : unsigned char {
  none,           ///< read into memory of their own
  read,           ///< mapped read-only: ask for Array<const T>
  copy_on_write,  ///< mapped; writes stay in this process
  read_write,     ///< mapped; writes change the file
  write,          ///< for open_array: a new file; in `load` the same as read_write
};

}  // namespace hoist
