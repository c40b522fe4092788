// SPDX-License-Identifier: BSD-3-Clause
#include "support/loopback.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <ranges>

#include "conformance/support.hpp"

namespace conformance {

std::shared_ptr<hoist::Backend> loopback_backend() {
  return std::make_shared<hoist::detail::remote::RemoteBackend>(
      []() -> hoist::detail::remote::Hosts& {
        static support::LoopbackHosts* const all = [] {
          auto* const made = new support::LoopbackHosts(2, 2);
          std::atexit([] { all->hosts().end(); });
          return made;
        }();
        return all->hosts();
      });
}

}  // namespace conformance

TEST_CASE("the suite's worker hosts run its tasks in other processes") {
  if (conformance::only_backend() == nullptr) return;
  for (const auto& backend : conformance::backends()) {
    const auto pids = hoist::Parallel({.backend = backend}).map(std::views::iota(0, 8), [](int) {
      return ::getpid();
    });
    for (const int pid : pids) CHECK(pid != ::getpid());
  }
}
