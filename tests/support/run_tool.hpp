// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "support/temp_dir.hpp"

namespace support {

inline const std::string tool = HOIST_BIN_DIR "/hoist";
/// False where HOIST_BUILD_TOOLS is off.
inline bool has_tool() { return std::filesystem::exists(tool); }

/// How a command of the shell has ended, and what it wrote.
struct Ran {
  int code = -1;
  std::string out;
  std::string error;
};

/// `hoist` with these arguments as the shell reads them, and what stands before it there:
/// `run_tool("cache ls", "NO_COLOR=1")`.
inline Ran run_tool(const std::string& arguments, const std::string& before = "") {
  const TempDir dir;
  const std::string out = dir / "out";
  const std::string error = dir / "error";
  const int status = std::system(
      (before + " timeout 60 " + tool + " " + arguments + " >" + out + " 2>" + error).c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, slurp(out), slurp(error)};
}

/// Whether a part of what was written is this.
inline bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace support
