// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

// What completions and man pages are made of: the definitions of the commands themselves.

namespace hoist::tool {

struct OptionInfo {
  std::string names;  ///< "-n,--dry-run", or the name of a positional one
  std::string help;
  bool takes_value = false;
  bool is_positional = false;
};

struct CommandInfo {
  std::vector<std::string> path;  ///< "cache", "ls"
  std::string help;
  std::string footer;
  std::vector<OptionInfo> options;
  std::vector<std::string> commands;  ///< of its own
};

/// The tool itself, then every command, in the order of definition.
std::vector<CommandInfo> all_commands(const CLI::App& app);

/// Whether the first is a command of the second's own.
bool is_below(const CommandInfo& command, const CommandInfo& above);

}  // namespace hoist::tool
