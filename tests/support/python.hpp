// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace support {

/// Runs a Python program in a directory with the interpreter that has NumPy and joblib (the
/// system's; another `python3` may precede it on the path). Returns what it printed on stdout and
/// stderr, preceded by "exit <code>: " if the code is not 0.
inline std::string python(const std::filesystem::path& directory, const std::string& program) {
  const auto script = directory / "script.py";
  const auto output = directory / "script.out";
  std::ofstream(script) << program;
  const pid_t child = ::fork();
  if (child == 0) {
    if (::chdir(directory.c_str()) != 0) ::_exit(127);
    // Not through stdio, whose buffer may hold output of the parent.
    const int out = ::open(output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (out < 0 || ::dup2(out, 1) < 0 || ::dup2(out, 2) < 0) ::_exit(127);
    ::execl("/usr/bin/python3", "python3", "-W", "error::UserWarning", "script.py", nullptr);
    ::_exit(127);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  std::ifstream in(output);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  std::filesystem::remove(script);
  std::filesystem::remove(output);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    text.insert(0, "exit " + std::to_string(status) + ": ");
  }
  return text;
}

}  // namespace support
