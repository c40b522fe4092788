// SPDX-License-Identifier: BSD-3-Clause
#include "os/atomic_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <map>
#include <mutex>
#include <optional>

#include "os/fork_hook.hpp"
#include "os/size_limit.hpp"

namespace hoist::detail::os {

namespace {

constexpr std::string_view temporary_prefix = ".hoist-tmp-";

/// When each directory may be swept again: not before 200 times as long as its last sweep took,
/// since listing a large directory takes long.
class SweepTimes {
 public:
  using Clock = std::chrono::steady_clock;

  /// Never destroyed: files are written by other objects' destructors, too.
  static SweepTimes& all() {
    static auto* const one = new SweepTimes;
    return *one;
  }

  /// Returns whether the caller is to sweep now. No other does so before the caller calls end().
  bool begin(const std::string& directory) {
    const std::lock_guard lock(mutex_);
    Clock::time_point& next = next_[directory];
    if (Clock::now() < next) return false;
    next = Clock::time_point::max();
    return true;
  }
  void end(const std::string& directory, Clock::duration took) {
    const std::lock_guard lock(mutex_);
    next_[directory] = Clock::now() + 200 * took;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, Clock::time_point> next_;
  // A child does its own sweeps: it must not wait for the end of one that its parent has begun.
  ForkHook fork_hook_{mutex_, [this] { next_.clear(); }};
};

void sweep_now_and_then(FileLayer& files, const std::string& directory) {
  if (!SweepTimes::all().begin(directory)) return;
  const auto start = SweepTimes::Clock::now();
  LockedTemporary::sweep(files, directory, temporary_prefix);
  SweepTimes::all().end(directory, SweepTimes::Clock::now() - start);
}

/// Where a path leads whose last part may be a link, also one to nothing yet.
std::filesystem::path behind_links(std::filesystem::path path) {
  constexpr int most_links = 40;  // as many as the system follows
  for (int i = 0; i < most_links; ++i) {
    std::error_code error;
    const auto target = std::filesystem::read_symlink(path, error);
    if (error) return path;
    path = path.parent_path() / target;
  }
  throw_system("follow the links of", path, ELOOP);
}

/// Gives a new file the owner, group and mode of the one it is to replace, as far as this process
/// may. Without the group, its members' rights are those of all others.
void take_over_rights(int fd, const struct stat& replaced) {
  struct stat made{};
  if (::fstat(fd, &made) != 0) return;
  mode_t mode = replaced.st_mode & 0777;
  if (made.st_gid != replaced.st_gid &&
      ::fchown(fd, static_cast<uid_t>(-1), replaced.st_gid) != 0) {
    mode = (mode & 0707) | ((mode & 07) << 3);
  }
  if (made.st_uid != replaced.st_uid) {
    [[maybe_unused]] const int refused = ::fchown(fd, replaced.st_uid, static_cast<gid_t>(-1));
  }
  ::fchmod(fd, mode);
}

}  // namespace

AtomicFile::AtomicFile(std::filesystem::path path, FileLayer& files)
    : path_(std::move(path)), files_(files), file_(files) {
  struct stat status{};
  replaces_ = ::stat(path_.c_str(), &status) == 0;
  if (replaces_) {
    if (S_ISDIR(status.st_mode)) throw_system("write to", path_, EISDIR);
    if (!S_ISREG(status.st_mode)) {
      Fd fd(::open(path_.c_str(), O_WRONLY | O_CLOEXEC));
      if (!fd) throw_system("open", path_, errno);
      file_.write_directly(std::move(fd));
      file_.set_name(path_);
      return;
    }
    // The directory's rights alone would allow to replace it.
    if (::faccessat(AT_FDCWD, path_.c_str(), W_OK, AT_EACCESS) != 0) {
      throw_system("write to", path_, errno);
    }
  }
  // The file a link leads to is replaced, not the link.
  path_ = behind_links(std::move(path_));
  file_.set_name(path_);
  sweep_now_and_then(files, directory());
  // What is private must not be readable for a moment.
  const mode_t mode = replaces_ ? 0600 : 0666;
  const int error = file_.create(directory() + "/" + std::string(temporary_prefix), mode);
  if (error != 0) throw_system("create a file in", directory(), error);
  if (replaces_) take_over_rights(file_.fd(), status);
}

std::string AtomicFile::directory() const {
  return path_.has_parent_path() ? path_.parent_path().string() : ".";
}

void AtomicFile::extend(std::uint64_t bytes) {
  file_.flush();
  const SizeLimitAsError limited;
  struct stat status{};
  if (::fstat(file_.fd(), &status) != 0 ||
      ::ftruncate(file_.fd(), status.st_size + static_cast<off_t>(bytes)) != 0 ||
      ::lseek(file_.fd(), 0, SEEK_END) < 0) {
    throw_system("extend", path_, errno);
  }
}

bool AtomicFile::commit_new() {
  file_.flush();
  if (!file_.is_temporary()) return false;
  const int error = files_.link(file_.path(), path_);
  if (error != 0 && error != EEXIST) throw_system("link a temporary file to", path_, error);
  return error == 0;  // the destructor removes the temporary name
}

void AtomicFile::commit(bool sync) {
  file_.flush();
  const bool may_lose_both =
      replaces_ && file_.is_temporary() && !files_.renames_after_data(file_.fd());
  if (sync || may_lose_both) file_.sync();
  if (file_.is_temporary()) {
    int error = file_.rename(path_);
    if (error != 0) throw_system("rename a temporary file to", path_, error);
    if (sync) error = files_.sync_directory(directory());
    if (error != 0) throw_system("write to", directory(), error);
  }
  file_.close();
}

}  // namespace hoist::detail::os
