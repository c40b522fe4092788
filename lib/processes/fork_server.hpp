// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string>

#include "processes/peer.hpp"
#include "processes/sent_work.hpp"

namespace hoist::detail::processes {

/// The fork server of this process, from the side of the process. It is started when it is needed,
/// also after it was killed. Thread-safe.
class ForkServer {
 public:
  /// Has it fork a child with that work. Throws SystemError.
  static std::shared_ptr<Peer> start(const SentWork& work, const Identity& identity);
  /// What servers call before they fork; one that runs gets no further children.
  static void preload(void (*f)());
  /// Ends it.
  static void stop() noexcept;
  /// 0 where none runs.
  static int pid();
};

/// The life of a fork server: forks when it is asked to by `socket`, collects its children, and
/// ends with its client.
[[noreturn]] void run_fork_server(int socket, StartMessage first, bool is_hosted);

}  // namespace hoist::detail::processes
