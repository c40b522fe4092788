// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>
#include <hoist/file_content.hpp>

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstddef>
#include <ctime>
#include <map>
#include <mutex>
#include <optional>
#include <tuple>
#include <vector>

#include "base/digest_stream.hpp"
#include "base/quoted.hpp"
#include "os/file.hpp"
#include "os/fork_hook.hpp"

namespace hoist {

namespace detail::values {

namespace {

/// Another content has another stamp, but for changes within one tick of the file system's clock.
using Stamp = std::tuple<dev_t, ino_t, off_t, time_t, long, time_t, long>;

Stamp stamp_of(const struct stat& status) {
  return {status.st_dev,         status.st_ino,          status.st_size,
          status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ctim.tv_sec,
          status.st_ctim.tv_nsec};
}

/// Whether a change from now on gives the file another time.
bool is_settled(const struct stat& status) {
  constexpr time_t coarsest_tick = 2;  // seconds, on FAT
  const time_t now = std::time(nullptr);
  return status.st_mtim.tv_sec + coarsest_tick < now && status.st_ctim.tv_sec + coarsest_tick < now;
}

class KnownContents {
 public:
  std::optional<Digest> find(const Stamp& stamp) {
    const std::lock_guard lock(mutex_);
    const auto found = digests_.find(stamp);
    return found != digests_.end() ? std::optional(found->second) : std::nullopt;
  }
  void add(const Stamp& stamp, const Digest& digest) {
    constexpr std::size_t most = 10'000;
    const std::lock_guard lock(mutex_);
    if (digests_.size() >= most) digests_.clear();
    digests_.insert_or_assign(stamp, digest);
  }

 private:
  std::map<Stamp, Digest> digests_;
  std::mutex mutex_;
  os::ForkHook hook_{mutex_};
};

KnownContents& known_contents() {
  // Never destroyed: functions are called from destructors of static objects too.
  static auto* const instance = new KnownContents;
  return *instance;
}

void check_regular(const struct stat& status, const std::filesystem::path& path) {
  if (!S_ISREG(status.st_mode)) {
    throw BadArgument("FileContent: " + base::quoted(path) + " is no regular file");
  }
}

Digest read_digest(const os::Fd& file, const std::filesystem::path& path) {
  std::vector<std::byte> piece(std::size_t{1} << 20);
  base::DigestStream digests;
  for (std::uint64_t at = 0;;) {
    const std::size_t n = os::read_at(file.get(), piece.data(), piece.size(), at, path.native());
    digests.put(base::digest_of(std::span(piece).first(n)));
    at += n;
    if (n < piece.size()) break;
  }
  return digests.digest();
}

}  // namespace

}  // namespace detail::values

Digest FileContent::digest() const {
  using namespace detail;
  // A pipe must not make the caller wait for somebody who writes to it.
  const os::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) os::throw_system("open", path, errno);
  struct stat before{};
  if (::fstat(file.get(), &before) != 0) os::throw_system("read", path, errno);
  values::check_regular(before, path);
  if (const auto known = values::known_contents().find(values::stamp_of(before))) return *known;
  const Digest digest = values::read_digest(file, path);
  struct stat after{};
  if (::fstat(file.get(), &after) != 0) os::throw_system("read", path, errno);
  const bool unchanged = values::stamp_of(before) == values::stamp_of(after);
  if (unchanged && values::is_settled(after)) {
    values::known_contents().add(values::stamp_of(after), digest);
  }
  return digest;
}

}  // namespace hoist
