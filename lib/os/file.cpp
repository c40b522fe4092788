// SPDX-License-Identifier: BSD-3-Clause
#include "os/file.hpp"

#include <hoist/error.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/quoted.hpp"
#include "os/size_limit.hpp"

namespace hoist::detail::os {

namespace {

constexpr std::size_t read_buffer_bytes = std::size_t{16} << 10;
/// Writes of this size are worth reserving space beforehand.
constexpr std::size_t reserved_from = std::size_t{16} << 20;

}  // namespace

void throw_system(const char* what, const std::filesystem::path& path, int code) {
  const std::string text = std::string("can't ") + what + " " + base::quoted(path);
  if (code == ENOENT) throw NotFound(text + ": it does not exist");
  throw SystemError(text, code);
}

void Fd::reset() noexcept {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

int Fd::above_standard(int fd) noexcept {
  const int moved = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (moved < 0) return fd;  // rather there than not at all
  ::close(fd);
  return moved;
}

Fd open_for_reading(const std::filesystem::path& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) throw_system("open", path, errno);
  struct stat status{};
  if (::fstat(fd.get(), &status) == 0 && S_ISDIR(status.st_mode)) {
    throw_system("read", path, EISDIR);
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

bool is_ready(int fd, short events) noexcept {
  pollfd file{fd, events, 0};
  int ready = 0;
  do {
    ready = ::poll(&file, 1, 0);
    // Although it doesn't wait, a signal that has just come makes it fail.
  } while (ready < 0 && errno == EINTR);
  return ready > 0;
}

FileIdentity identity_of(int fd) noexcept {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return {};
  return {status.st_dev, status.st_ino};
}

std::size_t read_at(int fd, std::byte* to, std::size_t n, std::uint64_t offset,
                    const std::string& path) {
  std::size_t done = 0;
  while (done < n) {
    const ssize_t got = ::pread(fd, to + done, n - done, static_cast<off_t>(offset + done));
    if (got < 0) {
      if (errno == EINTR) continue;
      throw_system("read", path, errno);
    }
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

void write_all(int fd, std::span<const std::byte> bytes, const std::filesystem::path& path) {
  const SizeLimitAsError limited;
  // File systems write faster into space that was reserved at once. Errors show in write(2).
  if (bytes.size() >= reserved_from) {
    const off_t at = ::lseek(fd, 0, SEEK_CUR);
    if (at >= 0) ::fallocate(fd, FALLOC_FL_KEEP_SIZE, at, static_cast<off_t>(bytes.size()));
  }
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      throw_system("write to", path, errno);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void write_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset,
              const std::filesystem::path& path) {
  const SizeLimitAsError limited;
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0) {
      if (errno == EINTR) continue;
      throw_system("write to", path, errno);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
}

Fd reopen_for_writing(int fd, const std::filesystem::path& path) {
  const std::string same = "/proc/self/fd/" + std::to_string(fd);
  Fd writing(::open(same.c_str(), O_RDWR | O_CLOEXEC));
  if (!writing && errno == ENOENT) writing = Fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!writing) throw_system("open for writing", path, errno);
  if (identity_of(fd) != identity_of(writing.get())) throw_system("open for writing", path, ESTALE);
  return writing;
}

FileSource::FileSource(const std::filesystem::path& path)
    : FileSource(path, open_for_reading(path)) {}

FileSource::FileSource(std::filesystem::path path, Fd fd)
    : PeekableSource(read_buffer_bytes), path_(std::move(path)), fd_(std::move(fd)) {
  struct stat status{};
  if (::fstat(fd_.get(), &status) != 0) return;
  identity_ = {status.st_dev, status.st_ino};
  if (S_ISREG(status.st_mode)) size_ = static_cast<std::uint64_t>(status.st_size);
}

std::size_t FileSource::fetch(std::byte* to, std::size_t n) {
  std::size_t done = 0;
  if (size_) {
    // Not beyond the end that was seen, which would only ask for it once more. A file that has
    // grown, or one in /proc that claims to be empty, is read on from there.
    const std::uint64_t known = *size_ > offset_ ? *size_ - offset_ : n;
    done = read_at(fd_.get(), to, static_cast<std::size_t>(std::min<std::uint64_t>(n, known)),
                   offset_, path_.native());
  } else {
    while (done < n) {
      const ssize_t got = ::read(fd_.get(), to + done, n - done);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw_system("read", path_, errno);
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

}  // namespace hoist::detail::os
