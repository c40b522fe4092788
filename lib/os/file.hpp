// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/bytes.hpp>

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/byte_streams.hpp"

namespace hoist::detail::os {

/// Owns a file descriptor. It is never one of the three standard ones, which a program may have
/// been started without: whoever writes to standard error must not write into a file of hoist's.
class Fd {
 public:
  Fd() = default;
  /// Takes over `fd`, moved out of the way of the standard ones; -1 for none. Keeps errno.
  explicit Fd(int fd) noexcept : fd_(fd > 2 || fd < 0 ? fd : above_standard(fd)) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    reset();
    fd_ = std::exchange(other.fd_, -1);
    return *this;
  }
  ~Fd() { reset(); }

  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  int release() noexcept { return std::exchange(fd_, -1); }
  void reset() noexcept;

 private:
  static int above_standard(int fd) noexcept;

  int fd_ = -1;
};

/// Throws NotFound or SystemError: "can't `what` `path`".
[[noreturn]] void throw_system(const char* what, const std::filesystem::path& path, int code);

/// Opens a file for reading. Throws NotFound or SystemError naming the path.
Fd open_for_reading(const std::filesystem::path& path);
/// The content of a small file, such as one in /proc; nothing if it can't be read.
std::optional<std::string> read_text(const std::filesystem::path& path);
/// Size of a regular file; nothing for pipes and devices.
std::optional<std::uint64_t> regular_size(int fd);

/// Whether a descriptor is ready for those poll(2) events now, or has failed.
bool is_ready(int fd, short events) noexcept;

/// Which file it is, on this machine, for as long as anybody has it open.
struct FileIdentity {
  dev_t device = 0;
  ino_t inode = 0;
  bool operator==(const FileIdentity&) const = default;
};
/// Of what is behind a descriptor; that of no file if nothing is.
FileIdentity identity_of(int fd) noexcept;

/// Reads exactly `n` bytes at `offset`, or as many as there are. Throws SystemError. The path is
/// for its message; it is a string, since a std::filesystem::path takes long to make.
std::size_t read_at(int fd, std::byte* to, std::size_t n, std::uint64_t offset,
                    const std::string& path);
/// Writes all bytes. Throws SystemError naming the path.
void write_all(int fd, std::span<const std::byte> bytes, const std::filesystem::path& path);
void write_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset,
              const std::filesystem::path& path);
/// Opens the file behind `fd` for reading and writing, even if its name belongs to another by now.
Fd reopen_for_writing(int fd, const std::filesystem::path& path);

/// A file as a source, from its beginning; small reads are buffered, large ones go straight to
/// their destination.
class FileSource final : public base::PeekableSource {
 public:
  explicit FileSource(const std::filesystem::path& path);
  /// Takes over a descriptor opened for reading; `path` names it in messages.
  FileSource(std::filesystem::path path, Fd fd);

  std::optional<std::uint64_t> left() const override;
  /// When it was opened; nothing for pipes and devices.
  std::optional<std::uint64_t> size() const noexcept { return size_; }
  FileIdentity identity() const noexcept { return identity_; }

  int fd() const noexcept { return fd_.get(); }
  const std::filesystem::path& path() const noexcept { return path_; }
  /// Offset of the next byte that `read` yields.
  std::uint64_t position() const noexcept { return offset_ - buffered(); }
  /// Skips bytes that are read by other means (`read_at`, a mapping).
  void skip(std::uint64_t n);
  /// Moves to that offset of a regular file.
  void seek(std::uint64_t offset) noexcept {
    offset_ = offset;
    drop_buffered();
  }

 private:
  std::size_t fetch(std::byte* to, std::size_t n) override;

  std::filesystem::path path_;
  Fd fd_;
  FileIdentity identity_;
  std::optional<std::uint64_t> size_;
  std::uint64_t offset_ = 0;  // in the file, after the buffered bytes
};

}  // namespace hoist::detail::os
