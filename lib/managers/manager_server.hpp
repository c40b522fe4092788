// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/managed.hpp>
#include <hoist/process.hpp>
#include <hoist/sync.hpp>

#include <memory>
#include <optional>

namespace hoist {
struct ManagerOptions;
}

namespace hoist::detail::managers {

/// A server and the way to it.
struct ManagerServer {
  ManagerLink link;
  std::optional<Process> process;  // none where it is another's

  /// Ends it, if it still runs: in order, or after five seconds otherwise.
  void end();
};

/// What the process of a server does.
void run_server(const ManagerLink& link, const ManagerOptions& options, const Event& ready);
/// Starts one and waits until it is ready. Throws what it has thrown.
std::unique_ptr<ManagerServer> start_server(const ManagerOptions& options, const char* name);

}  // namespace hoist::detail::managers
