// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

namespace hoist {

/// How a process comes into being.
enum class StartMethod : unsigned char {
  /// The program is started again and calls the function instead of main. Safe in every program;
  /// costs the start of the program. Function and arguments must be able to travel, as for tasks.
  spawn,
  /// A copy of this process: any function, any captures. Takes longer the more memory this process
  /// has, and is refused while other threads run, which would leave locks behind.
  fork,
  /// A copy of a server process that has done nothing but forkserver_preload: fast, safe, and
  /// independent of this process's memory. What can travel, as for spawn. Environment, ignored
  /// signals, stdout and stderr are those that this process had when the server was started.
  forkserver,
};

}  // namespace hoist
