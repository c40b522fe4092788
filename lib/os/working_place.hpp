// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/types.h>

#include <string>

namespace hoist::detail::os {

/// What relative paths and new files depend on, of a whole process.
struct WorkingPlace {
  std::string directory;  ///< the absolute path; empty if it has none any more
  mode_t umask = 022;
};

/// This process's. Does not set the umask in order to read it, which other threads would see: takes
/// about 10 us.
WorkingPlace working_place();
/// Makes it this process's. Throws SystemError naming the directory if that can't be entered.
void enter(const WorkingPlace& place);

}  // namespace hoist::detail::os
