// SPDX-License-Identifier: BSD-3-Clause
#include "os/staging.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>
#include <hoist/error.hpp>

#include <filesystem>
#include <string>

#include "support/temp_dir.hpp"

using hoist::detail::os::StagedFile;
using hoist::detail::os::Staging;
using support::TempDir;

TEST_CASE("a staged file gets its name, and the directories for it, when it is committed") {
  const TempDir dir;
  const std::string root = (dir / "cache").string() + "/";
  Staging staging(root, hoist::detail::os::system_files(), true);
  {
    StagedFile file(staging);
    file.write(std::as_bytes(std::span("text", 4)));
    CHECK(file.size() == 4);
    file.commit(root + "a/b/entry");
    StagedFile given_up(staging);
  }
  CHECK(support::slurp(root + "a/b/entry") == "text");
  CHECK(support::slurp(root + ".gitignore") == "*\n");
  CHECK(support::count_entries(staging.directory()) == 0);
  // A link is no file of ours, nor is a pipe; what has no writer goes.
  support::spill(staging.directory() + "/1-0", "");
  std::filesystem::create_symlink("1-0", staging.directory() + "/1-1");
  staging.sweep();
  CHECK(support::count_entries(staging.directory()) == 1);
}

// "It is there already" and "what it would be in is missing" were answered in turn, for ever.
TEST_CASE("a directory behind a link to nothing is an error") {
  const TempDir dir;
  std::filesystem::create_symlink(dir / "nothing", dir / "link");
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(10);
    Staging staging((dir / "link/cache").string() + "/", hoist::detail::os::system_files(), false);
    try {
      const StagedFile file(staging);
    } catch (const hoist::SystemError& error) {
      const bool clear = std::string(error.what()).find("symbolic link") != std::string::npos;
      ::_exit(clear && error.code() == ENOENT ? 0 : 1);
    }
    ::_exit(2);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
}
