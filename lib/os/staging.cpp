// SPDX-License-Identifier: BSD-3-Clause
#include "os/staging.hpp"

#include <hoist/error.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

namespace hoist::detail::os {

namespace {

/// How often a directory that others keep removing is made again before that is an error.
constexpr int patience = 100;

std::string parent_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

bool leads_nowhere(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) != 0 && errno == ENOENT &&
         ::lstat(path.c_str(), &status) == 0;
}

}  // namespace

Staging::Staging(const std::string& root, FileLayer& files, bool fsync)
    : root_(root), directory_(root + ".hoist/tmp"), files_(files), fsync_(fsync) {}

void Staging::make_parent(const std::string& path) {
  std::vector<std::string> missing{parent_of(path)};
  for (int failures = 0; !missing.empty();) {
    const std::string directory = missing.back();
    const int error = files_.make_directory(directory);
    if (error == 0 || error == EEXIST) {
      if (error == 0) made(directory);
      if (error == EEXIST && leads_nowhere(directory)) {
        throw SystemError("can't create the directory \"" + directory +
                              "\", which is a symbolic link to a directory that does not exist",
                          ENOENT);
      }
      missing.pop_back();
    } else if (error == ENOENT && directory.find('/') != std::string::npos &&
               parent_of(directory) != directory && ++failures < patience) {
      missing.push_back(parent_of(directory));
    } else {
      throw SystemError("can't create the directory \"" + directory + "\"", error);
    }
  }
}

void Staging::made(const std::string& directory) {
  if (fsync_) files_.sync_directory(parent_of(directory));
  if (directory + "/" != root_) return;
  // Keeps a cache out of the repository around it; not if the directory existed before.
  const Fd fd = files_.create(root_ + ".gitignore");
  if (fd) files_.write(fd.get(), std::as_bytes(std::span("*\n", 2)), root_ + ".gitignore");
}

StagedFile::StagedFile(Staging& staging) : staging_(staging), file_(staging.files()) {
  const std::string prefix = staging.directory() + "/";
  for (int attempt = 0;; ++attempt) {
    const int error = file_.create(prefix);
    if (error == 0) return;
    if (error != ENOENT || attempt == patience) {
      throw SystemError("can't create a file in \"" + staging.directory() + "\"", error);
    }
    staging.make_parent(prefix);
  }
}

void StagedFile::commit(const std::string& path) {
  file_.flush();
  if (staging_.fsync()) file_.sync();
  for (int attempt = 0;; ++attempt) {
    const int error = file_.rename(path);
    if (error == 0) break;
    // The directory doesn't exist yet, or was removed. If the staged file is gone, give up.
    if (error != ENOENT || attempt == patience || ::access(file_.path().c_str(), F_OK) != 0) {
      throw SystemError("can't rename a temporary file to \"" + path + "\"", error);
    }
    staging_.make_parent(path);
  }
  if (staging_.fsync()) {
    const int error = staging_.files().sync_directory(parent_of(path));
    if (error != 0) throw SystemError("can't write to \"" + parent_of(path) + "\"", error);
  }
}

}  // namespace hoist::detail::os
