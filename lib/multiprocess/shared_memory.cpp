// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>
#include <hoist/shared_memory.hpp>

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>

#include "base/quoted.hpp"
#include "ipc/shared_bytes.hpp"
#include "os/file.hpp"
#include "os/memory_file.hpp"
#include "os/memory_left.hpp"
#include "os/process_id.hpp"

namespace hoist {

namespace {

using detail::SharedBlock;
using detail::os::Fd;
using detail::os::ProcessId;

constexpr const char* folder = "/dev/shm";
constexpr std::size_t page = 4096;
constexpr std::size_t longest_name = 200;

/// What is known of a process's numbers: they mean something in its PID namespace only.
std::uint64_t pid_namespace() {
  struct stat status{};
  return ::stat("/proc/self/ns/pid", &status) == 0 ? status.st_ino : 0;
}

/// The last page of the file.
struct Trailer {
  char magic[24] = "hoist shared memory 1";
  std::uint64_t bytes = 0;
  ProcessId owner = 0;
  std::uint64_t owner_namespace = 0;
  char name[longest_name + 8] = {};
};

constexpr std::size_t whole_pages(std::size_t bytes) { return (bytes + page - 1) / page * page; }

bool is_trailer(const Trailer& trailer, std::uint64_t file_bytes) {
  return std::memcmp(trailer.magic, Trailer().magic, sizeof trailer.magic) == 0 &&
         trailer.bytes != 0 && trailer.bytes <= file_bytes &&
         whole_pages(trailer.bytes) + page == file_bytes && trailer.name[longest_name] == 0;
}

std::optional<Trailer> read_trailer(int fd, std::uint64_t file_bytes) {
  Trailer trailer;
  if (file_bytes < 2 * page ||
      ::pread(fd, &trailer, sizeof trailer, static_cast<off_t>(file_bytes - page)) !=
          sizeof trailer ||
      !is_trailer(trailer, file_bytes)) {
    return std::nullopt;
  }
  return trailer;
}

/// As a file's name. Throws BadArgument.
std::string checked_name(const std::string& name) {
  std::string file = name.starts_with('/') ? name.substr(1) : name;
  if (file.empty() || file == "." || file == ".." || file.size() > longest_name ||
      file.find('/') != file.npos || file.find('\0') != file.npos) {
    throw BadArgument("shared memory can't have the name " + detail::base::quoted(name) +
                      ": it is that of a file in /dev/shm, of at most 200 characters");
  }
  return file;
}

std::string path_of(const std::string& file) { return std::string(folder) + "/" + file; }

/// Removes a name if it is that of the open file. Locked, so that it is not given to another file
/// in between.
void unlink_if_same(int fd, const std::string& path) {
  struct stat named{};
  struct stat open{};
  ::flock(fd, LOCK_EX);
  if (::lstat(path.c_str(), &named) == 0 && ::fstat(fd, &open) == 0 &&
      named.st_ino == open.st_ino && named.st_dev == open.st_dev) {
    ::unlink(path.c_str());
  }
  ::flock(fd, LOCK_UN);
}

/// Removes a name of this user's memory whose maker has ended.
void sweep(const std::string& file) {
  const std::string path = path_of(file);
  const Fd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat status{};
  if (!fd || ::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode) ||
      status.st_uid != ::geteuid()) {
    return;
  }
  const auto trailer = read_trailer(fd.get(), static_cast<std::uint64_t>(status.st_size));
  if (trailer && trailer->name == file && trailer->owner_namespace == pid_namespace() &&
      !detail::os::is_running(trailer->owner)) {
    unlink_if_same(fd.get(), path);
  }
}

/// All such names; once in each process, as there may be many.
void sweep_all() {
  static std::once_flag once;
  std::call_once(once, [] {
    const std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir(folder), ::closedir);
    if (listing == nullptr) return;
    while (const dirent* const entry = ::readdir(listing.get())) sweep(entry->d_name);
  });
}

SharedBlock map_all(const Fd& fd, std::size_t bytes) {
  auto storage = detail::ipc::map_segment(fd.get(), 0, bytes, detail::os::MapAs::shared);
  if (storage->backing().fd < 0) {
    throw SystemError("too much shared memory is in use for all of it to be kept open", EMFILE);
  }
  storage->set_passing(detail::Storage::Passing::written);
  return {detail::BlockTag(), std::move(storage)};
}

}  // namespace

SharedMemory SharedMemory::create(std::size_t bytes) {
  if (bytes == 0) throw BadArgument("shared memory has at least one byte");
  return {SharedBlock::make("hoist-memory", bytes), bytes, {}};
}

SharedMemory SharedMemory::create(std::size_t bytes, const std::string& name) {
  const std::string file = checked_name(name);
  if (bytes == 0) throw BadArgument("shared memory has at least one byte");
  sweep_all();
  const std::string path = path_of(file);
  const auto check = [&](bool done, int code) {
    if (!done) {
      throw SystemError("can't make shared memory of " + std::to_string(bytes) + " bytes as " +
                            detail::base::quoted(path),
                        code);
    }
  };
  const std::size_t whole = whole_pages(bytes) + page;
  check(bytes < whole && bytes < detail::os::memory_left(), ENOMEM);
  // It gets its name when it is complete, so that nobody finds a part of it.
  const Fd fd(::open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  check(static_cast<bool>(fd), errno);
  const int error = detail::os::reserve_space(fd.get(), whole);
  check(error == 0, error);
  Trailer trailer;
  trailer.bytes = bytes;
  trailer.owner = detail::os::own_process();
  trailer.owner_namespace = pid_namespace();
  file.copy(trailer.name, longest_name);
  SharedBlock block = map_all(fd, whole);
  std::memcpy(block.data() + whole - page, &trailer, sizeof trailer);
  const std::string self = "/proc/self/fd/" + std::to_string(fd.get());
  const auto link = [&] {
    return ::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0;
  };
  bool linked = link();
  if (!linked && errno == EEXIST) {
    sweep(file);
    linked = link();
  }
  if (!linked && errno == EEXIST) {
    throw BadArgument("there is shared memory with the name " + detail::base::quoted(name) +
                      " already: attach to it, or unlink it");
  }
  check(linked, errno);
  return {std::move(block), bytes, name};
}

SharedMemory SharedMemory::attach(const std::string& name) {
  const std::string path = path_of(checked_name(name));
  const Fd fd(::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd) {
    if (errno == ENOENT) {
      throw NotFound("there is no shared memory with the name " + detail::base::quoted(name));
    }
    throw SystemError("can't attach to " + detail::base::quoted(path), errno);
  }
  const auto size = detail::os::regular_size(fd.get());
  if (!size || *size == 0) {
    throw DamagedData(detail::base::quoted(path) + " is no shared memory: it has no bytes");
  }
  const auto trailer = read_trailer(fd.get(), *size);
  return {map_all(fd, *size), trailer ? trailer->bytes : *size, name};
}

void SharedMemory::unlink() const {
  const int fd = block().storage()->backing().fd;
  if (!name_.empty() && fd >= 0) unlink_if_same(fd, path_of(checked_name(name_)));
}

SharedMemory SharedMemoryManager::create(std::size_t bytes) {
  static std::atomic<unsigned> next{0};
  if (const auto own = detail::os::own_process(); owner_ != own) {
    made_.clear();  // those of the process that forked this one
    owner_ = own;
  }
  const std::string name =
      "hoist-" + std::to_string(owner_) + "-" + std::to_string(next.fetch_add(1));
  made_.push_back(SharedMemory::create(bytes, name));
  return made_.back();
}

SharedMemoryManager& SharedMemoryManager::operator=(SharedMemoryManager&& other) noexcept {
  if (this != &other) {
    shutdown();
    made_ = std::move(other.made_);
    owner_ = other.owner_;
  }
  return *this;
}

void SharedMemoryManager::shutdown() noexcept {
  if (owner_ == detail::os::own_process()) {
    for (const SharedMemory& memory : made_) memory.unlink();
  }
  made_.clear();
}

}  // namespace hoist
