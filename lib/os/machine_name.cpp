// SPDX-License-Identifier: BSD-3-Clause
#include "os/machine_name.hpp"

#include <sys/utsname.h>

namespace hoist::detail::os {

std::string machine_name() {
  utsname names{};
  return ::uname(&names) == 0 ? names.nodename : std::string();
}

}  // namespace hoist::detail::os
