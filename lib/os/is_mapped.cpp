// SPDX-License-Identifier: BSD-3-Clause
#include "os/is_mapped.hpp"

#include <sys/mman.h>
#include <unistd.h>

namespace hoist::detail::os {

bool is_mapped(std::uintptr_t address) {
  // Nothing is mapped below (vm.mmap_min_addr) or above (48 bits of user addresses).
  if (address < 0x10000 || address >= std::uintptr_t{1} << 47) return false;
  static const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  unsigned char resident = 0;
  return ::mincore(reinterpret_cast<void*>(address / page * page), 1, &resident) == 0;
}

}  // namespace hoist::detail::os
