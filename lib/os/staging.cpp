// SPDX-License-Identifier: BSD-3-Clause
#include "os/staging.hpp"

#include <hoist/error.hpp>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <memory>

namespace hoist::detail::os {

namespace {

constexpr std::size_t buffer_bytes = std::size_t{64} << 10;
/// How often a directory that others keep removing is made again before that is an error.
constexpr int patience = 100;

std::string parent_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

}  // namespace

Staging::Staging(const std::string& root, FileLayer& files, bool fsync)
    : root_(root), directory_(root + ".hoist/tmp"), files_(files), fsync_(fsync) {}

void Staging::make_parent(const std::string& path) {
  std::vector<std::string> missing{parent_of(path)};
  while (!missing.empty()) {
    const int error = files_.make_directory(missing.back());
    if (error == 0 || error == EEXIST) {
      if (error == 0 && fsync_) files_.sync_directory(parent_of(missing.back()));
      // A cache is no part of the project around it. Not where the directory was there before.
      if (error == 0 && missing.back() + "/" == root_) {
        const Fd fd = files_.create(root_ + ".gitignore");
        if (fd) files_.write(fd.get(), std::as_bytes(std::span("*\n", 2)), root_ + ".gitignore");
      }
      missing.pop_back();
    } else if (error == ENOENT && missing.back().find('/') != std::string::npos &&
               parent_of(missing.back()) != missing.back() && missing.size() < patience) {
      missing.push_back(parent_of(missing.back()));
    } else {
      throw SystemError("can't create the directory \"" + missing.back() + "\"", error);
    }
  }
}

void Staging::sweep() {
  const std::unique_ptr<DIR, int (*)(DIR*)> open(::opendir(directory_.c_str()), &::closedir);
  if (!open) return;
  while (const dirent* entry = ::readdir(open.get())) {
    const Fd fd(::openat(::dirfd(open.get()), entry->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    struct stat status{};
    if (fd && ::fstat(fd.get(), &status) == 0 && S_ISREG(status.st_mode) &&
        files_.lock_file(fd.get()) == 0) {
      ::unlinkat(::dirfd(open.get()), entry->d_name, 0);
    }
  }
}

StagedFile::StagedFile(Staging& staging) : staging_(staging) {
  static std::atomic<unsigned> count{0};
  const std::string prefix = staging.directory() + "/" + std::to_string(::getpid()) + "-";
  for (int attempt = 0; attempt < patience;) {
    path_ = prefix + std::to_string(count.fetch_add(1, std::memory_order_relaxed));
    fd_ = staging.files().create(path_);
    if (!fd_) {
      if (errno == EEXIST) continue;
      if (errno != ENOENT) throw SystemError("can't create \"" + path_ + "\"", errno);
      staging.make_parent(path_);
      ++attempt;
      continue;
    }
    // A sweep may lock and remove it in the moment before it is locked here: then make another.
    struct stat status{};
    const bool locked = staging.files().lock_file(fd_.get()) != EWOULDBLOCK;
    if (locked && ::fstat(fd_.get(), &status) == 0 && status.st_nlink > 0) return;
  }
  throw SystemError("can't create a file in \"" + staging.directory() + "\"", ENOENT);
}

StagedFile::~StagedFile() {
  if (fd_ && !path_.empty()) staging_.files().remove(path_);
}

void StagedFile::write(std::span<const std::byte> bytes) {
  size_ += bytes.size();
  const bool large = bytes.size() >= buffer_bytes / 2;
  if (large || buffer_.size() + bytes.size() > buffer_bytes) flush();
  if (large) {
    staging_.files().write(fd_.get(), bytes, path_);
    return;
  }
  if (buffer_.capacity() == 0) buffer_.reserve(2048);
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
}

void StagedFile::flush() {
  if (!buffer_.empty()) staging_.files().write(fd_.get(), buffer_, path_);
  buffer_.clear();
}

void StagedFile::commit(const std::string& path) {
  flush();
  if (staging_.fsync()) staging_.files().sync(fd_.get(), path_);
  for (int attempt = 0;; ++attempt) {
    const int error = staging_.files().rename(path_, path);
    if (error == 0) break;
    // The directory isn't there yet, or was removed; if the staged file itself is gone, so is all.
    if (error != ENOENT || attempt == patience || ::access(path_.c_str(), F_OK) != 0) {
      throw SystemError("can't rename a temporary file to \"" + path + "\"", error);
    }
    staging_.make_parent(path);
  }
  path_.clear();
  if (staging_.fsync()) {
    const int error = staging_.files().sync_directory(parent_of(path));
    if (error != 0) throw SystemError("can't write to \"" + parent_of(path) + "\"", error);
  }
}

}  // namespace hoist::detail::os
