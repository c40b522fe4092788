// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <hoist/error.hpp>
#include <hoist/version.hpp>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "commands.hpp"
#include "definitions.hpp"
#include "output.hpp"

namespace hoist::tool {

namespace {

/// Text that means nothing but itself to roff.
std::string plain(std::string_view text) {
  std::string safe;
  bool line_begins = true;
  for (const char c : text) {
    if (line_begins && (c == '.' || c == '\'')) safe += "\\&";
    if (c == '\\') {
      safe += "\\e";
    } else if (c == '-') {
      safe += "\\-";
    } else {
      safe += c;
    }
    line_begins = c == '\n';
  }
  return safe;
}

std::string title_of(const CommandInfo& command, std::string_view between) {
  std::string title = "hoist";
  for (const std::string& one : command.path) title += std::string(between) + one;
  return title;
}

/// The examples in a footer, as they stand there.
void append_footer(std::string& page, std::string_view footer) {
  if (footer.empty()) return;
  const std::size_t at = footer.find("Example");
  const std::string_view notes = footer.substr(0, at);
  if (!notes.empty()) page += ".SH NOTES\n.nf\n" + plain(notes) + "\n.fi\n";
  if (at == std::string_view::npos) return;
  const std::string_view examples =
      footer.substr(std::min(footer.find('\n', at) + 1, footer.size()));
  page += ".SH EXAMPLES\n.nf\n" + plain(examples) + "\n.fi\n";
}

std::string page_of(const CommandInfo& command, const std::vector<CommandInfo>& all) {
  std::string upper = title_of(command, "-");
  std::ranges::transform(upper, upper.begin(),
                         [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  std::string page =
      fmt::format(".TH {} 1 \"\" \"hoist {}\" \"User Commands\"\n.SH NAME\n{} \\- {}\n", upper,
                  HOIST_VERSION_STRING, plain(title_of(command, "-")), plain(command.help));
  page += ".SH SYNOPSIS\n.B " + title_of(command, " ") + "\n";
  if (!command.commands.empty()) page += "COMMAND\n";
  if (!command.options.empty()) page += "[OPTIONS]\n";
  for (const OptionInfo& option : command.options) {
    if (option.is_positional) page += plain(option.names) + "\n";
  }
  if (!command.commands.empty()) {
    page += ".SH COMMANDS\n";
    for (const CommandInfo& below : all) {
      if (is_below(below, command)) {
        page +=
            fmt::format(".TP\n.BR {} (1)\n{}\n", plain(title_of(below, "-")), plain(below.help));
      }
    }
  }
  if (!command.options.empty()) page += ".SH OPTIONS\n";
  for (const OptionInfo& option : command.options) {
    page += fmt::format(".TP\n.B {}{}\n{}\n", plain(option.names),
                        option.takes_value && !option.is_positional ? " VALUE" : "",
                        plain(option.help));
  }
  append_footer(page, command.footer);
  page +=
      ".SH EXIT STATUS\n0: done; 1: files differ, or something is damaged; 2: wrong usage, or "
      "trouble.\n"
      ".SH ENVIRONMENT\n.TP\n.B HOIST_CACHE\nThe cache that commands are about which name none.\n"
      ".TP\n.B NO_COLOR\nTurns colours off.\n";
  return page;
}

void write_pages(const CLI::App& app, const std::filesystem::path& directory) {
  const auto commands = all_commands(app);
  std::filesystem::create_directories(directory);
  for (const CommandInfo& command : commands) {
    write_whole(directory / (title_of(command, "-") + ".1"), page_of(command, commands));
  }
}

}  // namespace

void add_man(CLI::App& app) {
  auto directory = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("man", "Write the manual pages");
  command->add_option("DIRECTORY", *directory, "Where hoist.1, hoist-cache-ls.1, ... go")
      ->required();
  command->footer("Example:\n  hoist man ~/.local/share/man/man1");
  command->callback([directory, &app] { write_pages(app, *directory); });
}

}  // namespace hoist::tool
