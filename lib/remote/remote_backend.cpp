// SPDX-License-Identifier: BSD-3-Clause
#include "remote/remote_backend.hpp"

#include "backends/process_session.hpp"

namespace hoist::detail::remote {

BackendTraits RemoteBackend::traits() const {
  BackendTraits traits;
  traits.shares_memory = false;
  traits.kills_tasks = true;
  traits.batch_seconds = 4e-3;
  return traits;
}

std::unique_ptr<Session> RemoteBackend::open(Loop& loop) {
  Hosts& hosts = hosts_();
  hosts.slots();  // so that they have joined
  return backends::open_process_session(loop, hosts);
}

}  // namespace hoist::detail::remote
