// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace support {

/// A Python interpreter that has imported NumPy and joblib and runs each program in a fork of
/// itself: the imports take most of a second, and the tests run a hundred programs. It is the
/// system's interpreter, since another `python3` may precede it on the path, and ends when its
/// standard input does.
class PythonServer {
 public:
  static PythonServer& instance() {
    static PythonServer server;
    return server;
  }

  /// Runs script.py in the directory, with its output in script.out; the status as of wait(2).
  int run(const std::filesystem::path& directory) {
    int status = -1;
    if (std::fprintf(requests_, "%s\n", directory.c_str()) < 0 || std::fflush(requests_) != 0 ||
        std::fscanf(replies_, "%d", &status) != 1) {
      return -1;
    }
    return status;
  }

 private:
  static constexpr const char* program = R"(
import os, runpy, sys, traceback
import numpy
import joblib

# lz4 of Debian 13 complains when its own files are collected.
sys.unraisablehook = lambda complaint: None

def run(directory):
    os.chdir(directory)
    out = os.open('script.out', os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(os.open('/dev/null', os.O_RDONLY), 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    code = 0
    try:
        runpy.run_path('script.py', run_name='__main__')
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        run(line.rstrip('\n'))
    print(os.waitpid(child, 0)[1], flush=True)
)";

  PythonServer() {
    int in[2];
    int out[2];
    if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0) return;
    if (::fork() == 0) {
      ::dup2(in[0], 0);
      ::dup2(out[1], 1);
      ::execl("/usr/bin/python3", "python3", "-W", "error::UserWarning", "-c", program, nullptr);
      ::_exit(127);
    }
    ::close(in[0]);
    ::close(out[1]);
    requests_ = ::fdopen(in[1], "w");
    replies_ = ::fdopen(out[0], "r");
  }

  std::FILE* requests_ = nullptr;
  std::FILE* replies_ = nullptr;
};

/// Runs a Python program in a directory. Returns what it printed on stdout and stderr, preceded by
/// "exit <status>: " if it failed.
inline std::string python(const std::filesystem::path& directory, const std::string& program) {
  const auto script = directory / "script.py";
  const auto output = directory / "script.out";
  std::ofstream(script) << program;
  const int status = PythonServer::instance().run(directory);
  std::ifstream in(output);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  std::filesystem::remove(script);
  std::filesystem::remove(output);
  if (status != 0) text.insert(0, "exit " + std::to_string(status) + ": ");
  return text;
}

}  // namespace support
