// SPDX-License-Identifier: BSD-3-Clause
#include "os/fork_guard.hpp"

#include <pthread.h>

#include <algorithm>
#include <mutex>
#include <vector>

namespace hoist::detail::os {

namespace {

struct Guards {
  std::mutex mutex;
  std::vector<ForkGuard*> all;
};

void before();
void in_parent();
void in_child();

Guards& guards() {
  static auto* one = [] {
    ::pthread_atfork(before, in_parent, in_child);
    return new Guards;  // never destroyed: processes fork while they end, too
  }();
  return *one;
}

void before() {
  guards().mutex.lock();
  for (auto* guard : guards().all) guard->before_fork();
}

void after(bool child) {
  auto& all = guards().all;
  for (auto guard = all.rbegin(); guard != all.rend(); ++guard) (*guard)->after_fork(child);
  guards().mutex.unlock();
}

void in_parent() { after(false); }
void in_child() { after(true); }

}  // namespace

ForkGuard::ForkGuard() {
  const std::lock_guard lock(guards().mutex);
  guards().all.push_back(this);
}

ForkGuard::~ForkGuard() {
  const std::lock_guard lock(guards().mutex);
  std::erase(guards().all, this);
}

}  // namespace hoist::detail::os
