// SPDX-License-Identifier: BSD-3-Clause
#include "definitions.hpp"

#include <algorithm>
#include <utility>

namespace hoist::tool {

namespace {

void collect(const CLI::App& app, const std::vector<std::string>& path,
             std::vector<CommandInfo>& to) {
  CommandInfo command{.path = path,
                      .help = app.get_description(),
                      .footer = app.get_footer(),
                      .options = {},
                      .commands = {}};
  for (const CLI::Option* option : app.get_options()) {
    const bool positional = option->nonpositional() == false;
    command.options.push_back(
        {.names = positional ? option->get_name(true) : option->get_name(false, true),
         .help = option->get_description(),
         .takes_value = option->get_items_expected_max() > 0,
         .is_positional = positional});
  }
  const auto below = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* one : below) command.commands.push_back(one->get_name());
  to.push_back(std::move(command));
  for (const CLI::App* one : below) {
    auto longer = path;
    longer.push_back(one->get_name());
    collect(*one, longer, to);
  }
}

}  // namespace

std::vector<CommandInfo> all_commands(const CLI::App& app) {
  std::vector<CommandInfo> all;
  collect(app, {}, all);
  return all;
}

bool is_below(const CommandInfo& command, const CommandInfo& above) {
  return command.path.size() == above.path.size() + 1 &&
         std::equal(above.path.begin(), above.path.end(), command.path.begin());
}

}  // namespace hoist::tool
