// SPDX-License-Identifier: BSD-3-Clause
#include "memory/key_lock.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <mutex>
#include <utility>
#include <vector>

#include "os/file.hpp"
#include "os/fork_hook.hpp"

namespace hoist::detail::memory {

namespace {

/// The descriptors of all locks this process holds or waits for. A forked child shares the
/// descriptions: would it keep them open, the locks would outlive their holder.
class OpenLocks {
 public:
  static OpenLocks& all() {
    static auto* one = new OpenLocks;  // locks are held while the process ends, too
    return *one;
  }

  /// Calls nest, each with a lock: a quarter of the descriptors is theirs, beyond which callers do
  /// without, as where there are no locks. The rest is for what they compute and store.
  os::Fd open(const std::string& path) {
    const std::lock_guard lock(mutex_);
    struct rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && fds_.size() >= limit.rlim_cur / 4) {
      errno = EMFILE;
      return {};
    }
    os::Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
    if (fd) fds_.push_back(fd.get());
    return fd;
  }

  void close(os::Fd fd) {
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
  void close_all() {
    for (const int fd : fds_) ::close(fd);
    fds_.clear();
  }

  std::mutex mutex_;
  std::vector<int> fds_;
  os::ForkHook fork_hook_{mutex_, [this] { close_all(); }};
};

class KeyLock final : public StoreLock {
 public:
  explicit KeyLock(os::Fd fd) : fd_(std::move(fd)) {}
  ~KeyLock() override { OpenLocks::all().close(std::move(fd_)); }

 private:
  os::Fd fd_;
};

class KeyWait final : public StoreWait {
 public:
  explicit KeyWait(os::Fd fd) : fd_(std::move(fd)) {}
  ~KeyWait() override { OpenLocks::all().close(std::move(fd_)); }
  int fd() const { return fd_.get(); }

 private:
  os::Fd fd_;
};

struct flock range_of(short type, off_t begin, off_t length) {
  struct flock range{};
  range.l_type = type;
  range.l_whence = SEEK_SET;
  range.l_start = begin;
  range.l_len = length;
  return range;
}

constexpr int half_bits = 31;
constexpr off_t half_size = off_t{1} << half_bits;
/// So many neighbours are no announcements: another program has locked a part of the file.
constexpr off_t most_waits = 65536;

off_t half_of(std::uint64_t number) {
  return static_cast<off_t>(number >> (std::numeric_limits<std::uint64_t>::digits - half_bits));
}

/// What the holder of `key` has announced to wait for, apart from what the caller itself has.
/// False if the file can't tell.
bool read_waits(os::FileLayer& files, int fd, off_t key, std::vector<off_t>& waits) {
  std::vector<std::pair<off_t, off_t>> unread{{key * half_size, (key + 1) * half_size}};
  while (!unread.empty()) {
    const auto [begin, end] = unread.back();
    unread.pop_back();
    if (begin >= end) continue;
    struct flock found = range_of(F_WRLCK, begin, end - begin);
    if (files.lock_range(fd, F_OFD_GETLK, found) != 0) return false;
    if (found.l_type == F_UNLCK) continue;
    // Neighbours of one holder are told as one.
    const off_t from = std::max(found.l_start, begin);
    const off_t to = found.l_len == 0 ? end : std::min(found.l_start + found.l_len, end);
    if (to - from > most_waits) return false;
    for (off_t at = from; at < to; ++at) waits.push_back(at % half_size);
    unread.emplace_back(begin, from);
    unread.emplace_back(to, end);
  }
  return true;
}

}  // namespace

std::unique_ptr<StoreLock> lock_key(os::FileLayer& files, const std::string& path,
                                    std::uint64_t number, bool wait) {
  os::Fd fd = OpenLocks::all().open(path);
  if (!fd) return nullptr;
  struct flock range = range_of(F_WRLCK, static_cast<off_t>(number >> 2), 1);
  const int error = files.lock_range(fd.get(), wait ? F_OFD_SETLKW : F_OFD_SETLK, range);
  if (error != 0) {
    OpenLocks::all().close(std::move(fd));
    errno = error;
    return nullptr;
  }
  return std::make_unique<KeyLock>(std::move(fd));
}

std::unique_ptr<StoreWait> announce_key_wait(os::FileLayer& files, const std::string& path,
                                             const std::vector<std::uint64_t>& held,
                                             std::uint64_t wanted) {
  os::Fd fd = OpenLocks::all().open(path);
  if (!fd) return nullptr;
  auto notice = std::make_unique<KeyWait>(std::move(fd));
  for (const std::uint64_t key : held) {
    struct flock range = range_of(F_RDLCK, half_of(key) * half_size + half_of(wanted), 1);
    if (files.lock_range(notice->fd(), F_OFD_SETLK, range) != 0) return nullptr;
  }
  std::vector<off_t> reached{half_of(wanted)};
  for (std::size_t next = 0; next < reached.size(); ++next) {
    const off_t key = reached[next];
    const bool is_own =
        std::any_of(held.begin(), held.end(), [&](auto one) { return half_of(one) == key; });
    std::vector<off_t> waits;
    if (is_own || !read_waits(files, notice->fd(), key, waits)) return nullptr;
    for (const off_t wait : waits) {
      if (std::find(reached.begin(), reached.end(), wait) == reached.end()) reached.push_back(wait);
    }
  }
  return notice;
}

}  // namespace hoist::detail::memory
