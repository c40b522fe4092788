// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <memory>
#include <string>
#include <string_view>

#include "commands.hpp"
#include "definitions.hpp"

namespace hoist::tool {

namespace {

std::string path_text(const CommandInfo& command, std::string_view between) {
  std::string text;
  for (const std::string& one : command.path) {
    text += (text.empty() ? "" : std::string(between)) + one;
  }
  return text;
}

/// The names of an option, each with its dashes.
std::vector<std::string> names_of(const OptionInfo& option) {
  std::vector<std::string> names;
  std::string_view rest = option.names;
  while (!rest.empty()) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    names.emplace_back(rest.substr(0, comma));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return names;
}

std::string quoted_for_shell(std::string_view text) {
  std::string safe = "'";
  for (const char c : text) safe += c == '\'' ? "'\\''" : std::string(1, c);
  return safe + "'";
}

/// What may come next behind a command, and whether files may.
void print_bash(const std::vector<CommandInfo>& commands) {
  fmt::print("{}", R"(# bash completion of hoist; made by `hoist completion bash`
_hoist() {
  local cur=${COMP_WORDS[COMP_CWORD]} path= word i
  for ((i = 1; i < COMP_CWORD; ++i)); do
    word=${COMP_WORDS[i]}
    [[ $word == -* ]] && continue
    case "$path $word" in
)");
  for (const CommandInfo& command : commands) {
    if (command.path.empty()) continue;
    fmt::print("      '{}'*) ", (command.path.size() == 1 ? " " : "") + path_text(command, " "));
    fmt::print("path='{}' ;;\n", path_text(command, " "));
  }
  fmt::print("    esac\n  done\n  local words=\n  case \"$path\" in\n");
  for (const CommandInfo& command : commands) {
    std::string words;
    for (const std::string& one : command.commands) words += " " + one;
    for (const OptionInfo& option : command.options) {
      if (option.is_positional) continue;
      for (const std::string& name : names_of(option)) words += " " + name;
    }
    fmt::print("    '{}') words='{}' ;;\n", path_text(command, " "),
               words.substr(words.empty() ? 0 : 1));
  }
  fmt::print("{}", R"(  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  [[ $path && $cur != -* ]] && COMPREPLY+=($(compgen -f -- "$cur"))
}
complete -o filenames -F _hoist hoist
)");
}

void print_fish(const std::vector<CommandInfo>& commands) {
  fmt::print("# fish completion of hoist; made by `hoist completion fish`\n");
  for (const CommandInfo& command : commands) {
    std::string condition;
    if (command.path.empty()) {
      condition = "__fish_use_subcommand";
    } else {
      for (const std::string& one : command.path) {
        condition += (condition.empty() ? "" : "; and ") + ("__fish_seen_subcommand_from " + one);
      }
    }
    for (const CommandInfo& below : commands) {
      if (!is_below(below, command)) continue;
      fmt::print("complete -c hoist -n {} -f -a {} -d {}\n", quoted_for_shell(condition),
                 below.path.back(), quoted_for_shell(below.help));
    }
    for (const OptionInfo& option : command.options) {
      if (option.is_positional) continue;
      std::string flags;
      for (const std::string& name : names_of(option)) {
        flags += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      }
      fmt::print("complete -c hoist -n {}{}{} -d {}\n", quoted_for_shell(condition), flags,
                 option.takes_value ? " -r" : "", quoted_for_shell(option.help));
    }
  }
}

/// With a backslash before each of these characters.
std::string escaped(std::string_view text, std::string_view characters) {
  std::string safe;
  for (const char c : text) {
    if (characters.find(c) != std::string_view::npos) safe += '\\';
    safe += c;
  }
  return safe;
}

/// An option as _arguments of zsh wants it: '(-n --dry-run)'{-n,--dry-run}'[help]'.
std::string zsh_option(const OptionInfo& option) {
  const auto names = names_of(option);
  std::string all;
  std::string listed;
  for (const std::string& name : names) {
    all += (all.empty() ? "" : " ") + name;
    // A value may follow the name itself, as in --level=3.
    if (!listed.empty()) listed += ",";
    listed += name;
    if (option.takes_value) listed += name.starts_with("--") ? "=" : "+";
  }
  const std::string rest = quoted_for_shell("[" + escaped(option.help, "[]:\\") + "]" +
                                            (option.takes_value ? ":value:_files" : ""));
  return names.size() == 1 ? listed + rest : fmt::format("'({})'{{{}}}{}", all, listed, rest);
}

void print_zsh(const std::vector<CommandInfo>& commands) {
  fmt::print("#compdef hoist\n# zsh completion of hoist; made by `hoist completion zsh`\n");
  for (const CommandInfo& command : commands) {
    std::string function = "_hoist";
    for (const std::string& one : command.path) function += "_" + one;
    fmt::print("\n{}() {{\n", function);
    std::string options;
    for (const OptionInfo& option : command.options) {
      if (!option.is_positional) options += " \\\n    " + zsh_option(option);
    }
    if (command.commands.empty()) {
      fmt::print("  _arguments -s{} \\\n    '*:file:_files'\n}}\n", options);
      continue;
    }
    fmt::print("  local curcontext=$curcontext state line\n  typeset -A opt_args\n");
    fmt::print("  _arguments -C{} \\\n    '1: :->command' '*:: :->arguments'\n", options);
    fmt::print("  if [[ $state == command ]]; then\n    local -a commands=(\n");
    for (const CommandInfo& below : commands) {
      if (!is_below(below, command)) continue;
      fmt::print("      {}\n",
                 quoted_for_shell(below.path.back() + ":" + escaped(below.help, ":\\")));
    }
    fmt::print("    )\n    _describe command commands\n");
    fmt::print("  elif (( $+functions[{0}_$words[1]] )); then\n    {0}_$words[1]\n  fi\n}}\n",
               function);
  }
  // Loaded by compinit, the file is the function's first call; otherwise it was sourced.
  fmt::print(
      "\nif [[ $funcstack[1] == _hoist ]]; then\n  _hoist \"$@\"\nelse\n  compdef _hoist "
      "hoist\nfi\n");
}

}  // namespace

void add_completion(CLI::App& app) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("completion", "Write the completion for a shell");
  command->add_option("SHELL", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->footer(
      "A package of hoist has installed all three.\n\n"
      "Examples:\n"
      "  hoist completion bash > ~/.local/share/bash-completion/completions/hoist\n"
      "  hoist completion zsh > ~/.zfunc/_hoist   # and fpath+=~/.zfunc before compinit\n"
      "  hoist completion fish > ~/.config/fish/completions/hoist.fish");
  command->callback([shell, &app] {
    const auto commands = all_commands(app);
    if (*shell == "bash") print_bash(commands);
    if (*shell == "zsh") print_zsh(commands);
    if (*shell == "fish") print_fish(commands);
  });
}

}  // namespace hoist::tool
