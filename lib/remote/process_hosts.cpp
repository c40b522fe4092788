// SPDX-License-Identifier: BSD-3-Clause
#include "remote/process_hosts.hpp"

#include <vector>

#include "os/cpu.hpp"
#include "os/process_end.hpp"

namespace hoist::detail::remote {

namespace {

/// Of all backends.
struct All {
  std::mutex mutex;
  std::vector<Hosts*> hosts;
};

constinit os::PerProcess<All> all_hosts;

void end_all() {
  All* const its = all_hosts.find();
  if (its == nullptr) return;
  std::vector<Hosts*> hosts;
  {
    const std::lock_guard lock(its->mutex);
    hosts.swap(its->hosts);
  }
  for (Hosts* const one : hosts) one->end();
}

void see_to_end(Hosts* hosts) {
  All& its = all_hosts.here();
  {
    const std::lock_guard lock(its.mutex);
    its.hosts.push_back(hosts);
  }
  os::at_process_end(end_all);
}

}  // namespace

Hosts& ProcessHosts::here(const std::function<Hosts*()>& make) {
  Its& its = its_.here();
  const std::lock_guard lock(its.mutex);
  if (its.hosts == nullptr) {
    its.hosts = make();
    os::explain_with([hosts = its.hosts] { return hosts->explain(); });
    see_to_end(its.hosts);
  }
  return *its.hosts;
}

bool ProcessHosts::set_before(const std::function<void()>& set) {
  Its& its = its_.here();
  const std::lock_guard lock(its.mutex);
  if (its.hosts != nullptr) return false;
  set();
  return true;
}

}  // namespace hoist::detail::remote
