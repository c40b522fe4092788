// SPDX-License-Identifier: BSD-3-Clause
#include <CLI/CLI.hpp>

#include "commands.hpp"

namespace hoist::tool {

void add_cache(CLI::App& app) {
  CLI::App* cache = app.add_subcommand("cache", "Look at caches of functions, and look after them");
  cache->require_subcommand(1);
  cache->footer(
      "LOCATION is the directory that the program's Memory was made with. Without one, it is that\n"
      "of the environment variable HOIST_CACHE, else the caches in the current directory.");
  add_cache_list(*cache);
  add_cache_show(*cache);
  add_cache_explain(*cache);
  add_cache_stats(*cache);
  add_cache_prune(*cache);
  add_cache_verify(*cache);
  add_cache_clear(*cache);
  add_cache_transfer(*cache);
}

}  // namespace hoist::tool
