// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/backend.hpp>

#include <memory>

#include "remote/hosts.hpp"

namespace hoist::detail::remote {

/// Loops on worker hosts.
class RemoteBackend final : public Backend {
 public:
  /// `hosts` makes them when the first loop asks, or throws why there are none; it returns the same
  /// ones from then on.
  explicit RemoteBackend(std::function<Hosts&()> hosts) : hosts_(std::move(hosts)) {}
  BackendTraits traits() const override;
  unsigned usable_workers() const override { return hosts_().slots(); }
  std::unique_ptr<Session> open(Loop& loop) override;

 private:
  std::function<Hosts&()> hosts_;
};

}  // namespace hoist::detail::remote
