// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <mutex>

#include "os/fork_hook.hpp"
#include "remote/hosts.hpp"

namespace hoist::detail::remote {

/// The worker hosts that this process has of one backend: made for its first loop, ended with the
/// process, and never destroyed, as loops may run at the end of the program. A forked child has
/// none. For variables of static storage duration. Thread-safe.
class ProcessHosts {
 public:
  constexpr ProcessHosts() = default;

  /// Calls `make` where there are none yet.
  Hosts& here(const std::function<Hosts*()>& make);
  /// Calls `set`, which says how they will be made. False, and does nothing, if there are some.
  bool set_before(const std::function<void()>& set);

 private:
  struct Its {
    std::mutex mutex;
    Hosts* hosts = nullptr;
  };
  os::PerProcess<Its> its_;
};

}  // namespace hoist::detail::remote
