// SPDX-License-Identifier: BSD-3-Clause
//
// hoist cache show and hoist cache explain

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <hoist/error.hpp>
#include <hoist/value.hpp>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "commands.hpp"
#include "json.hpp"
#include "location.hpp"
#include "output.hpp"
#include "tree.hpp"

namespace hoist::tool {

namespace {

struct Arguments {
  std::string entry;
  std::string location;
  TreeOptions tree;
  bool json = false;
};

/// The entry whose name, or file, ends so; or whose last part, the hash, begins so.
MemoryEntry find_entry(const Memory& memory, std::string wanted) {
  if (wanted.ends_with(".hoist")) wanted.resize(wanted.size() - 6);
  std::vector<MemoryEntry> found;
  memory.visit_entries([&](const MemoryEntry& entry) {
    const std::string& name = entry.name();
    const bool is_hash = wanted.find('/') == std::string::npos &&
                         name.compare(name.rfind('/') + 1, wanted.size(), wanted) == 0;
    const bool is_path = wanted.ends_with(name) || name.ends_with("/" + wanted);
    if ((is_hash || is_path) && found.size() < 2) found.push_back(entry);
  });
  if (found.empty()) {
    throw NotFound("there is no entry \"" + wanted +
                   "\": `hoist cache ls --entries` lists them; a name, a file or the beginning of "
                   "a hash will do");
  }
  if (found.size() > 1) {
    throw BadArgument("\"" + wanted + "\" is the beginning of several entries' names: " +
                      found[0].name() + ", " + found[1].name());
  }
  return found.front();
}

void print_metadata(const MemoryEntry& entry, const EntryMetadata& metadata) {
  const auto line = [](std::string_view name, const std::string& text) {
    if (!text.empty()) fmt::print("{:<13}{}\n", name, printable(text));
  };
  fmt::print("{}({})\n", bold(printable(metadata.function)), printable(metadata.arguments));
  line("entry", entry.name());
  line("created", utc_text(metadata.created) + " (" + age_text(metadata.created) + ")");
  line("computed in", duration_text(metadata.duration));
  line("on", metadata.host + ", hoist " + metadata.hoist_version);
  line("size",
       fmt::format("{}; the result {}, the arguments {}", bytes_text(entry.bytes()),
                   bytes_text(metadata.result_bytes), bytes_text(metadata.arguments_bytes)));
  line("last used", age_text(entry.last_used()) + ", " + counted(entry.uses(), "hit", "hits"));
  std::string tags;
  for (const std::string& tag : metadata.tags) tags += (tags.empty() ? "" : ", ") + tag;
  line("tags", tags);
  for (const CacheDependency& one : metadata.dependencies) line("depends on", one.function);
}

void write_metadata(Json& json, const MemoryEntry& entry, const EntryMetadata& metadata) {
  json.member("entry", entry.name()).member("bytes", entry.bytes()).member("hits", entry.uses());
  json.member("last_used", utc_text(entry.last_used()));
  json.member("function", metadata.function).member("arguments", metadata.arguments);
  json.member("created", utc_text(metadata.created));
  json.member("seconds", std::chrono::duration<double>(metadata.duration).count());
  json.member("host", metadata.host).member("hoist_version", metadata.hoist_version);
  json.member("result_bytes", metadata.result_bytes);
  json.member("arguments_bytes", metadata.arguments_bytes);
  json.key("tags").begin_array();
  for (const std::string& tag : metadata.tags) json.value(tag);
  json.end_array().key("dependencies").begin_array();
  for (const CacheDependency& one : metadata.dependencies) {
    json.begin_object().member("function", one.function).member("version", one.version);
    json.member("symbol", one.symbol).end_object();
  }
  json.end_array();
}

void show_entry(const Arguments& arguments) {
  const Memory memory = open_cache(one_cache(arguments.location));
  const MemoryEntry entry = find_entry(memory, arguments.entry);
  const EntryMetadata metadata = entry.metadata();
  if (!arguments.json) {
    print_metadata(entry, metadata);
    print_tree("result", entry.value(), arguments.tree);
    return;
  }
  Json json;
  json.begin_object();
  write_metadata(json, entry, metadata);
  json.key("result");
  write_tree(json, entry.value(), arguments.tree);
  json.end_object().print();
}

/// What the entries of one version of a function say of it.
struct Version {
  std::string name;
  std::uint64_t items = 0;
  std::optional<EntryMetadata> first;
  std::optional<EntryMetadata> last;
  std::map<std::string, std::string> dependencies;  ///< versions by functions
};

/// The oldest first.
std::vector<Version> versions_of(const Memory& memory, const std::string& directory) {
  std::map<std::string, Version> found;
  memory.visit_entries([&](const MemoryEntry& entry) {
    if (entry.function_directory() != directory) return;
    Version& version = found[entry.version()];
    version.name = entry.version();
    ++version.items;
    try {
      const EntryMetadata metadata = entry.metadata();
      if (!version.first || metadata.created < version.first->created) version.first = metadata;
      if (!version.last || metadata.created > version.last->created) version.last = metadata;
      for (const auto& one : metadata.dependencies)
        version.dependencies[one.function] = one.version;
    } catch (const std::exception&) {
      // `verify` tells.
    }
  });
  std::vector<Version> versions;
  for (auto& [name, version] : found) versions.push_back(std::move(version));
  std::ranges::sort(versions, [](const Version& a, const Version& b) {
    const auto time = [](const Version& one) {
      return one.first ? one.first->created : std::chrono::system_clock::time_point();
    };
    return time(a) < time(b);
  });
  return versions;
}

/// How the cached functions that two versions call differ.
std::vector<std::string> changes(const Version& before, const Version& after) {
  std::vector<std::string> found;
  for (const auto& [function, version] : after.dependencies) {
    const auto old = before.dependencies.find(function);
    if (old == before.dependencies.end()) {
      found.push_back("now calls " + function);
    } else if (old->second != version) {
      found.push_back(function + ", which it calls, has changed");
    }
  }
  for (const auto& [function, version] : before.dependencies) {
    if (!after.dependencies.contains(function)) found.push_back("no longer calls " + function);
  }
  if (before.last && after.first && before.last->hoist_version != after.first->hoist_version) {
    found.push_back("another version of hoist: " + before.last->hoist_version + ", then " +
                    after.first->hoist_version);
  }
  return found;
}

void explain_function(const Arguments& arguments) {
  const Memory memory = open_cache(one_cache(arguments.location));
  const auto functions = memory.functions({.function = arguments.entry});
  if (functions.empty()) {
    throw NotFound("there is no function \"" + arguments.entry +
                   "\" here: `hoist cache ls` lists them");
  }
  Json json;
  json.begin_array();
  for (const StoredFunction& function : functions) {
    if (!arguments.json) {
      fmt::print("{}: {}\n", bold(function.name),
                 counted(function.versions.size(), "version", "versions"));
    }
    const Version* before = nullptr;
    const auto versions = versions_of(memory, function.directory);
    for (const Version& version : versions) {
      const auto differences =
          before == nullptr ? std::vector<std::string>() : changes(*before, version);
      before = &version;
      if (arguments.json) {
        json.begin_object().member("function", function.name).member("version", version.name);
        json.member("items", version.items);
        if (version.first) json.member("first", utc_text(version.first->created));
        if (version.last) json.member("last", utc_text(version.last->created));
        json.key("differences").begin_array();
        for (const std::string& one : differences) json.value(one);
        json.end_array().end_object();
        continue;
      }
      fmt::print("  {}  {}{}\n", version.name, counted(version.items, "entry", "entries"),
                 version.first ? fmt::format(", computed from {} to {} on {}",
                                             utc_text(version.first->created),
                                             utc_text(version.last->created), version.last->host)
                               : "");
      for (const std::string& one : differences) fmt::print("    {}\n", one);
    }
  }
  json.end_array();
  if (arguments.json) json.print();
}

}  // namespace

void add_cache_show(CLI::App& cache) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      cache.add_subcommand("show", "Show an entry: its call, when it was computed, its result");
  command->add_option("ENTRY", arguments->entry, "Its name or file, or the beginning of its hash")
      ->required();
  command->add_option("LOCATION", arguments->location, "The cache");
  command->add_option("--head", arguments->tree.head, "How many items and elements to show of each")
      ->check([](const std::string& text) { return number_fault(text, 1, 1e9); })
      ->capture_default_str();
  command->add_flag("--plot", arguments->tree.plot, "Draw arrays of numbers");
  command->add_flag("--json", arguments->json, "As JSON");
  command->footer("Example:\n  hoist cache show 57c2103e");
  command->callback([arguments] { show_entry(*arguments); });
}

void add_cache_explain(CLI::App& cache) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = cache.add_subcommand(
      "explain", "List the versions of a function, and what is known to differ between them");
  command->add_option("FUNCTION", arguments->entry, "Its name, or a pattern such as 'train*'")
      ->required();
  command->add_option("LOCATION", arguments->location, "The cache");
  command->add_flag("--json", arguments->json, "As JSON");
  command->footer(
      "A version is the fingerprint of the function's code, or what the program gave as version.\n"
      "Why a certain call missed, explain_miss tells in the program.\n\n"
      "Example:\n  hoist cache explain train");
  command->callback([arguments] { explain_function(*arguments); });
}

}  // namespace hoist::tool
