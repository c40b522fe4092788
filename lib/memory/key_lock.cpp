// SPDX-License-Identifier: BSD-3-Clause
#include "memory/key_lock.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <vector>

#include "base/file.hpp"
#include "memory/fork_guard.hpp"

namespace hoist::detail {

namespace {

/// The descriptors of all locks this process holds or waits for. A forked child shares the
/// descriptions: would it keep them open, the locks would outlive their holder.
class OpenLocks final : private ForkGuard {
 public:
  static OpenLocks& all() {
    static auto* one = new OpenLocks;  // locks are held while the process ends, too
    return *one;
  }

  Fd open(const std::string& path) {
    const std::lock_guard lock(mutex_);
    Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
    if (fd) fds_.push_back(fd.get());
    return fd;
  }

  void close(Fd fd) {
    const std::lock_guard lock(mutex_);
    // In a forked child the number may be another file's by now.
    const auto found = std::find(fds_.begin(), fds_.end(), fd.get());
    if (found == fds_.end()) {
      [[maybe_unused]] const int not_ours = fd.release();
      return;
    }
    fds_.erase(found);
    fd.reset();
  }

 private:
  void before_fork() override { mutex_.lock(); }
  void after_fork(bool in_child) override {
    if (in_child) {
      for (const int fd : fds_) ::close(fd);
      fds_.clear();
    }
    mutex_.unlock();
  }

  std::mutex mutex_;
  std::vector<int> fds_;
};

class KeyLock final : public StoreLock {
 public:
  explicit KeyLock(Fd fd) : fd_(std::move(fd)) {}
  ~KeyLock() override { OpenLocks::all().close(std::move(fd_)); }

 private:
  Fd fd_;
};

}  // namespace

std::unique_ptr<StoreLock> lock_key(const std::string& path, std::uint64_t number) {
  Fd fd = OpenLocks::all().open(path);
  if (!fd) return nullptr;
  struct flock range{};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  range.l_start = static_cast<off_t>(number >> 2);
  range.l_len = 1;
  int error = 0;
  do {
    error = ::fcntl(fd.get(), F_OFD_SETLKW, &range) == 0 ? 0 : errno;
  } while (error == EINTR);
  if (error != 0) {
    OpenLocks::all().close(std::move(fd));
    errno = error;
    return nullptr;
  }
  return std::make_unique<KeyLock>(std::move(fd));
}

}  // namespace hoist::detail
