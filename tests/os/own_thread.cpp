// SPDX-License-Identifier: BSD-3-Clause
#include "os/own_thread.hpp"

#include <doctest/doctest.h>
#include <pthread.h>

#include <array>
#include <future>

using namespace hoist::detail;

namespace {

sigset_t current_mask() {
  sigset_t mask;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  return mask;
}

bool blocks(int signal) {
  const sigset_t mask = current_mask();
  return ::sigismember(&mask, signal) == 1;
}

}  // namespace

TEST_CASE(
    "a thread of hoist's own takes no signals, has a name, and changes nothing in its maker") {
  struct Seen {
    bool blocked = false;
    std::string name;
  };
  std::promise<Seen> promise;
  auto seen = promise.get_future();
  const bool before = blocks(SIGUSR1);
  hoist::detail::os::start_own_thread("hoist-test", [&promise] {
    std::array<char, 16> name{};
    ::pthread_getname_np(::pthread_self(), name.data(), name.size());
    promise.set_value({blocks(SIGUSR1) && blocks(SIGINT) && blocks(SIGTERM), name.data()});
  });
  const Seen there = seen.get();
  CHECK(there.blocked);
  CHECK(there.name == "hoist-test");
  CHECK(blocks(SIGUSR1) == before);
}

TEST_CASE("blocked signals are as before after the scope, also inside of another") {
  const bool before = blocks(SIGTERM);
  {
    const hoist::detail::os::BlockSignals outer;
    {
      const hoist::detail::os::BlockSignals inner;
      CHECK(blocks(SIGTERM));
    }
    CHECK(blocks(SIGTERM));
  }
  CHECK(blocks(SIGTERM) == before);
}
