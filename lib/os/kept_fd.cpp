// SPDX-License-Identifier: BSD-3-Clause
#include "os/kept_fd.hpp"

#include <sys/resource.h>

#include <atomic>

namespace hoist::detail::os {

namespace {

std::atomic<rlim_t> kept{0};

}  // namespace

bool KeptFd::count_in() noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return false;
  if (kept.fetch_add(1) < limit.rlim_cur / 4) return true;
  kept.fetch_sub(1);
  return false;
}

void KeptFd::count_out() noexcept { kept.fetch_sub(1); }

}  // namespace hoist::detail::os
