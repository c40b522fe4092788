// SPDX-License-Identifier: BSD-3-Clause
#include "os/file.hpp"

#include <hoist/error.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <mutex>

#include "base/quoted.hpp"

namespace hoist::detail::os {

namespace {

constexpr std::size_t buffer_bytes = std::size_t{64} << 10;
constexpr std::size_t read_buffer_bytes = std::size_t{16} << 10;
constexpr std::string_view temporary_prefix = ".hoist-tmp-";
/// What is worth to find room for beforehand.
constexpr std::size_t reserved_from = std::size_t{16} << 20;

[[noreturn]] void throw_system(const char* what, const std::filesystem::path& path) {
  const int code = errno;
  const std::string text = std::string("can't ") + what + " " + base::quoted(path);
  if (code == ENOENT) throw NotFound(text + ": it does not exist");
  throw SystemError(text, code);
}

/// Removes the temporaries that killed processes left: those that nobody holds locked. Listing a
/// large directory takes its time, so a directory is left alone for 200 times as long as its last
/// sweep took.
void sweep(const std::filesystem::path& directory) {
  using Clock = std::chrono::steady_clock;
  static std::mutex mutex;
  static std::map<std::filesystem::path, Clock::time_point> next_sweep;
  const auto start = Clock::now();
  const std::lock_guard lock(mutex);
  auto& next = next_sweep[directory];
  if (start < next) return;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) {
    if (!entry.path().filename().string().starts_with(temporary_prefix)) continue;
    const Fd fd(::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) ::unlink(entry.path().c_str());
  }
  const auto end = Clock::now();
  next = end + 200 * (end - start);
}

/// Creates and locks a temporary in `directory`.
Fd create_temporary(const std::filesystem::path& directory, mode_t mode,
                    std::filesystem::path& path) {
  static std::atomic<unsigned> count{0};
  for (;;) {
    path = directory / (std::string(temporary_prefix) + std::to_string(::getpid()) + "-" +
                        std::to_string(count.fetch_add(1)));
    Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (!fd) {
      if (errno == EEXIST) continue;
      throw_system("create a file in", directory);
    }
    // A sweep may lock it in the moment before it is locked here, and then remove it, now or soon:
    // then make another. Where there are no locks, nothing is swept.
    struct stat status{};
    const bool locked = ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0;
    const bool swept =
        locked ? ::fstat(fd.get(), &status) == 0 && status.st_nlink == 0 : errno == EWOULDBLOCK;
    if (!swept) return fd;
  }
}

}  // namespace

void Fd::reset(int fd) noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

Fd open_for_reading(const std::filesystem::path& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) throw_system("open", path);
  struct stat status{};
  if (::fstat(fd.get(), &status) == 0 && S_ISDIR(status.st_mode)) {
    errno = EISDIR;
    throw_system("read", path);
  }
  return fd;
}

std::optional<std::string> read_text(const std::filesystem::path& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return std::nullopt;
  std::string text;
  for (char part[4096];;) {
    const ssize_t n = ::read(fd.get(), part, sizeof part);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return std::nullopt;
    if (n == 0) return text;
    text.append(part, static_cast<std::size_t>(n));
  }
}

std::optional<std::uint64_t> regular_size(int fd) {
  struct stat status{};
  if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  return static_cast<std::uint64_t>(status.st_size);
}

std::size_t read_at(int fd, std::byte* to, std::size_t n, std::uint64_t offset,
                    const std::filesystem::path& path) {
  std::size_t done = 0;
  while (done < n) {
    const ssize_t got = ::pread(fd, to + done, n - done, static_cast<off_t>(offset + done));
    if (got < 0) {
      if (errno == EINTR) continue;
      throw_system("read", path);
    }
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

void write_all(int fd, std::span<const std::byte> bytes, const std::filesystem::path& path) {
  // File systems that find all the room at once write faster into it. Where it can't be had, write(2) says so.
  if (bytes.size() >= reserved_from) {
    const off_t at = ::lseek(fd, 0, SEEK_CUR);
    if (at >= 0) ::fallocate(fd, FALLOC_FL_KEEP_SIZE, at, static_cast<off_t>(bytes.size()));
  }
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      throw_system("write to", path);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void write_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset,
              const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0) {
      if (errno == EINTR) continue;
      throw_system("write to", path);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
}

Fd reopen_for_writing(int fd, const std::filesystem::path& path) {
  const std::string same = "/proc/self/fd/" + std::to_string(fd);
  Fd writing(::open(same.c_str(), O_RDWR | O_CLOEXEC));
  if (!writing && errno == ENOENT) writing.reset(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  struct stat one{}, other{};
  if (!writing || ::fstat(fd, &one) != 0 || ::fstat(writing.get(), &other) != 0) {
    throw_system("open for writing", path);
  }
  if (one.st_dev != other.st_dev || one.st_ino != other.st_ino) {
    errno = ESTALE;
    throw_system("open for writing", path);
  }
  return writing;
}

FileSource::FileSource(const std::filesystem::path& path)
    : FileSource(path, open_for_reading(path)) {}

FileSource::FileSource(std::filesystem::path path, Fd fd)
    : PeekableSource(read_buffer_bytes),
      path_(std::move(path)),
      fd_(std::move(fd)),
      size_(regular_size(fd_.get())) {}

std::size_t FileSource::fetch(std::byte* to, std::size_t n) {
  std::size_t done = 0;
  if (size_) {
    done = read_at(fd_.get(), to, n, offset_, path_);
  } else {
    while (done < n) {
      const ssize_t got = ::read(fd_.get(), to + done, n - done);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw_system("read", path_);
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
  }
  offset_ += done;
  return done;
}

std::optional<std::uint64_t> FileSource::left() const {
  if (!size_) return std::nullopt;
  return *size_ > position() ? *size_ - position() : 0;
}

void FileSource::skip(std::uint64_t n) {
  const auto ahead = static_cast<std::size_t>(std::min<std::uint64_t>(n, buffered()));
  take(ahead);
  offset_ += n - ahead;
}

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)) {
  struct stat status{};
  mode_t mode = 0666;
  if (::stat(path_.c_str(), &status) == 0) {
    if (S_ISDIR(status.st_mode)) {
      errno = EISDIR;
      throw_system("write to", path_);
    }
    if (!S_ISREG(status.st_mode)) {
      fd_.reset(::open(path_.c_str(), O_WRONLY | O_CLOEXEC));
      if (!fd_) throw_system("open", path_);
      return;
    }
    mode = status.st_mode & 0777;
    // Replace the file a link leads to, not the link.
    std::error_code error;
    auto target = std::filesystem::canonical(path_, error);
    if (!error) path_ = std::move(target);
  }
  const auto directory = path_.has_parent_path() ? path_.parent_path() : ".";
  sweep(directory);
  fd_ = create_temporary(directory, mode, temporary_);
}

AtomicFile::~AtomicFile() {
  if (fd_ && !temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  const bool large = bytes.size() >= buffer_bytes / 2;
  if (large || buffer_.size() + bytes.size() > buffer_bytes) flush();
  if (large) {
    write_all(fd_.get(), bytes, path_);
  } else {
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  }
}

void AtomicFile::extend(std::uint64_t bytes) {
  flush();
  struct stat status{};
  if (::fstat(fd_.get(), &status) != 0 ||
      ::ftruncate(fd_.get(), status.st_size + static_cast<off_t>(bytes)) != 0 ||
      ::lseek(fd_.get(), 0, SEEK_END) < 0) {
    throw_system("extend", path_);
  }
}

bool AtomicFile::commit_new() {
  flush();
  if (temporary_.empty()) return false;
  const bool made = ::link(temporary_.c_str(), path_.c_str()) == 0;
  if (!made && errno != EEXIST) throw_system("link a temporary file to", path_);
  return made;  // the destructor removes the temporary name
}

void AtomicFile::flush() {
  write_all(fd_.get(), buffer_, path_);
  buffer_.clear();
}

void AtomicFile::commit(bool sync) {
  flush();
  if (sync && ::fsync(fd_.get()) != 0) throw_system("write to", path_);
  if (!temporary_.empty() && ::rename(temporary_.c_str(), path_.c_str()) != 0) {
    throw_system("rename a temporary file to", path_);
  }
  temporary_.clear();
  if (sync) {
    const auto directory = path_.has_parent_path() ? path_.parent_path() : ".";
    const Fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd || ::fsync(fd.get()) != 0) throw_system("write to", directory);
  }
  fd_.reset();
}

}  // namespace hoist::detail::os
