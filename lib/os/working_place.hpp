// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/types.h>

#include <cfenv>
#include <string>

namespace hoist::detail::os {

/// What tasks in another process should find as the caller of their loop has it.
struct WorkingPlace {
  std::string directory;  ///< the absolute path; empty if it has none any more
  mode_t umask = 022;
  std::fenv_t floats = {};  ///< of the calling thread: see float_mode
};

/// This process's. Does not set the umask in order to read it, which other threads would see: takes
/// about 7 us.
WorkingPlace working_place();
/// Makes it this process's and thread's. Throws SystemError naming the directory if that can't be
/// entered.
void enter(const WorkingPlace& place);

}  // namespace hoist::detail::os
