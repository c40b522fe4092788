// SPDX-License-Identifier: BSD-3-Clause
//
// The command line tool.

#include <CLI/CLI.hpp>
#include <hoist/error.hpp>
#include <hoist/version.hpp>

#include <csignal>
#include <cstdio>
#include <exception>
#include <utility>

#include "commands.hpp"

namespace hoist::tool {

namespace {

ExitCode exit_code = success;

void add_all(CLI::App& app) {
  app.require_subcommand(1);
  app.set_version_flag("--version", "hoist " HOIST_VERSION_STRING);
  app.get_formatter()->column_width(34);
  app.footer(
      "Exit codes: 0 done; 1 files differ, or something is damaged; 2 wrong usage, or trouble.\n"
      "`hoist COMMAND --help` has examples. NO_COLOR=1 turns colours off.");
  add_cache(app);
  add_show(app);
  add_convert(app);
  add_diff(app);
  add_hash(app);
  add_check(app);
  add_top(app);
  add_trace(app);
  add_workers(app);
  add_env(app);
  add_completion(app);
  add_man(app);
}

int run(int argc, char** argv) {
  CLI::App app("hoist: remembered results, parallel loops, fast files", "hoist");
  add_all(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const auto is_named = [&](const CLI::App* one) { return one->check_name(argv[1]); };
    if (argc > 1 && argv[1][0] != '-' && std::as_const(app).get_subcommands(is_named).empty()) {
      std::fprintf(stderr, "hoist: there is no command %s; hoist --help lists them\n", argv[1]);
      return trouble;
    }
    if (app.exit(error) != 0) return trouble;  // else it was asked for help
  } catch (const DamagedData& error) {
    std::fprintf(stderr, "hoist: %s\n", error.what());
    return differs;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "hoist: %s\n", error.what());
    return trouble;
  }
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    std::fputs("hoist: the output could not be written\n", stderr);
    return trouble;
  }
  return exit_code;
}

}  // namespace

void set_exit_code(ExitCode code) { exit_code = code; }

}  // namespace hoist::tool

int main(int argc, char** argv) {
  // A reader that has seen enough (hoist cache ls | head) ends the tool quietly.
  std::signal(SIGPIPE, SIG_DFL);
  return hoist::tool::run(argc, argv);
}
