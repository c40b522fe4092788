// SPDX-License-Identifier: BSD-3-Clause
#include "location.hpp"

#include <hoist/error.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdlib>

namespace hoist::tool {

namespace {

bool is_cache(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path / ".hoist", ignored);
}

std::filesystem::path existing(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(path, ignored)) {
    throw NotFound("\"" + path.string() +
                   "\" is no directory: give the location that the program's Memory was made with");
  }
  return path;
}

}  // namespace

void add_filter(CLI::App& command, EntryFilter& filter) {
  command.add_option("--function", filter.function,
                     "Only functions whose name matches, such as 'train*'");
  command.add_option("--tag", filter.tags, "Only entries with one of these tags")
      ->allow_extra_args(false);
}

std::vector<std::filesystem::path> cache_locations(const std::vector<std::string>& named) {
  std::vector<std::filesystem::path> found;
  for (const std::string& one : named) found.push_back(existing(one));
  if (!found.empty()) return found;
  if (const char* set = std::getenv("HOIST_CACHE"); set != nullptr && *set != '\0') {
    return {existing(set)};
  }
  if (is_cache(".")) found.emplace_back(".");
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(".", error)) {
    if (is_cache(entry.path())) found.push_back(entry.path().filename());
  }
  std::ranges::sort(found);
  if (found.empty()) {
    throw NotFound(
        "there is no cache in the current directory: give the LOCATION that the program's Memory "
        "was made with, or set HOIST_CACHE");
  }
  return found;
}

std::filesystem::path one_cache(const std::string& named) {
  const auto found =
      cache_locations(named.empty() ? std::vector<std::string>() : std::vector<std::string>{named});
  if (found.size() == 1) return found.front();
  std::string all;
  for (const auto& path : found) all += (all.empty() ? "" : ", ") + path.string();
  throw BadArgument("there are several caches here: name one of " + all);
}

Memory open_cache(const std::filesystem::path& location) {
  return Memory(location, {.read_only = true});
}

Memory open_cache_to_change(const std::filesystem::path& location) {
  return Memory(existing(location));
}

}  // namespace hoist::tool
