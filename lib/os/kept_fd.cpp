// SPDX-License-Identifier: BSD-3-Clause
#include "os/kept_fd.hpp"

#include <sys/resource.h>
#include <sys/stat.h>

#include <atomic>

namespace hoist::detail::os {

namespace {

std::atomic<rlim_t> kept{0};

}  // namespace

KeptFd::KeptFd(Fd fd) {
  rlimit limit{};
  if (!fd || ::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  if (kept.fetch_add(1) >= limit.rlim_cur / 4) {
    kept.fetch_sub(1);
    return;
  }
  fd_ = std::move(fd);
  file_ = file_behind(fd_.get());
}

void KeptFd::reset() noexcept {
  if (!fd_) return;
  kept.fetch_sub(1);
  if (!is_ours()) fd_.release();
  fd_.reset();
}

KeptFd::File KeptFd::file_behind(int fd) noexcept {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return {};
  return {status.st_dev, status.st_ino};
}

}  // namespace hoist::detail::os
