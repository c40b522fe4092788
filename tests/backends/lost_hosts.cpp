// SPDX-License-Identifier: BSD-3-Clause
#include "backends/lost_hosts.hpp"

#include <doctest/doctest.h>
#include <hoist/error.hpp>

#include <exception>
#include <string>

#include "workers/worker_process.hpp"

using namespace hoist;
using hoist::detail::backends::LostHosts;

namespace {
hoist::detail::workers::WorkerEnd lost(const std::string& machine) {
  return {.how = {}, .last_lines = {}, .machine = machine, .lost = "has vanished"};
}
}  // namespace

TEST_CASE("of the tasks that were on a lost machine each machine gets one at a time") {
  LostHosts hosts(OnLostHost::rerun);
  CHECK_FALSE(hosts.has_suspects());
  CHECK(hosts.note(4, 1, lost("a")) == nullptr);
  CHECK(hosts.note(5, 1, lost("a")) == nullptr);
  CHECK(hosts.has_suspects());
  CHECK(hosts.may_go(4, "b"));
  CHECK(hosts.may_go(4, "b"));
  CHECK_FALSE(hosts.may_go(5, "b"));
  CHECK(hosts.may_go(6, "b"));  // any other
  CHECK(hosts.may_go(5, "c"));
  CHECK(hosts.note(5, 2, lost("c")) == nullptr);
  CHECK_FALSE(hosts.may_go(5, "b"));
  hosts.done(4);
  CHECK(hosts.may_go(5, "b"));
  const std::exception_ptr error = hosts.note(5, 3, lost("b"));
  REQUIRE(error != nullptr);
  CHECK_THROWS_WITH_AS(std::rethrow_exception(error),
                       doctest::Contains("task 5 was on a machine that was lost: a has vanished, "
                                         "then c has vanished, then b has vanished"),
                       WorkerDied);
  CHECK_FALSE(hosts.has_suspects());
}
