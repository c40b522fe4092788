// SPDX-License-Identifier: BSD-3-Clause
#include "os/child_watch.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include "support/frequent_signals.hpp"

namespace os = hoist::detail::os;

TEST_CASE("a signal to who watches another's child is not taken for the end of that") {
  const os::ChildWatch self(::getpid(), os::open_pidfd(::getpid()));
  REQUIRE(self);
  const support::FrequentSignals signals;
  int ends = 0;
  for (int i = 0; i < 100'000; ++i) ends += self.end() ? 1 : 0;
  CHECK(ends == 0);
}
