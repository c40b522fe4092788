// SPDX-License-Identifier: BSD-3-Clause
#include "os/kept_fd.hpp"

#include <sys/resource.h>

#include <atomic>

namespace hoist::detail::os {

namespace {

std::atomic<rlim_t> kept{0};

}  // namespace

KeptFd::KeptFd(Fd fd, std::optional<FileIdentity> file) {
  rlimit limit{};
  if (!fd || ::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  if (kept.fetch_add(1) >= limit.rlim_cur / 4) {
    kept.fetch_sub(1);
    return;
  }
  fd_ = std::move(fd);
  file_ = file ? *file : identity_of(fd_.get());
}

void KeptFd::reset() noexcept {
  if (!fd_) return;
  kept.fetch_sub(1);
  if (!is_ours()) fd_.release();
  fd_.reset();
}

void raise_descriptor_limit() noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace hoist::detail::os
