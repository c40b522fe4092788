// SPDX-License-Identifier: BSD-3-Clause
//
// The command line tool.

#include <CLI/CLI.hpp>

#include <cstdio>
#include <exception>

#include "commands.hpp"

int main(int argc, char** argv) {
  CLI::App app("hoist: remembered results, parallel loops, fast files");
  app.require_subcommand(1);
  hoist::tool::add_trace(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "hoist: %s\n", error.what());
    return 1;
  }
  return 0;
}
