// SPDX-License-Identifier: BSD-3-Clause
//
// hoist cache ls

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "commands.hpp"
#include "json.hpp"
#include "location.hpp"
#include "output.hpp"

namespace hoist::tool {

namespace {

struct Arguments {
  std::vector<std::string> locations;
  EntryFilter filter;
  std::string sort = "name";
  bool entries = false;
  bool json = false;
};

double seconds_of(std::chrono::nanoseconds duration) {
  return std::chrono::duration<double>(duration).count();
}

void sort_functions(std::vector<StoredFunction>& functions, const std::string& by) {
  const auto most_first = [&](auto member) {
    std::ranges::sort(functions, [member](const StoredFunction& a, const StoredFunction& b) {
      return std::tie(b.*member, a.name) < std::tie(a.*member, b.name);
    });
  };
  if (by == "size") most_first(&StoredFunction::bytes);
  if (by == "items") most_first(&StoredFunction::items);
  if (by == "hits") most_first(&StoredFunction::uses);
  if (by == "seconds") most_first(&StoredFunction::saved);
  if (by == "age") most_first(&StoredFunction::last_used);
}

void print_functions(const std::filesystem::path& location,
                     const std::vector<StoredFunction>& functions) {
  StoredFunction total;
  Table table({"FUNCTION", ">VERSIONS", ">ENTRIES", ">SIZE", ">HITS", ">SAVED", "LAST USED"});
  for (const StoredFunction& one : functions) {
    table.add({printable(one.name), count_text(one.versions.size()), count_text(one.items),
               bytes_text(one.bytes), count_text(one.uses), duration_text(one.saved),
               age_text(one.last_used)});
    total.items += one.items;
    total.bytes += one.bytes;
    total.saved += one.saved;
  }
  fmt::print("{}: {} of {}, {}, about {} saved\n", bold(location.string()),
             counted(total.items, "entry", "entries"),
             counted(functions.size(), "function", "functions"), bytes_text(total.bytes),
             duration_text(total.saved));
  if (!functions.empty()) table.print();
}

void write_function(Json& json, const StoredFunction& function) {
  json.begin_object();
  json.member("name", function.name).member("directory", function.directory);
  json.member("items", function.items).member("bytes", function.bytes);
  json.member("hits", function.uses).member("seconds_saved", seconds_of(function.saved));
  json.member("last_used", utc_text(function.last_used));
  json.key("versions").begin_array();
  for (const StoredVersion& version : function.versions) {
    json.begin_object().member("version", version.version).member("items", version.items);
    json.member("bytes", version.bytes).member("hits", version.uses);
    json.member("last_used", utc_text(version.last_used)).end_object();
  }
  json.end_array().end_object();
}

void list_functions(const Arguments& arguments) {
  Json json;
  json.begin_array();
  for (const auto& location : cache_locations(arguments.locations)) {
    auto functions = open_cache(location).functions(arguments.filter);
    sort_functions(functions, arguments.sort);
    if (!arguments.json) {
      print_functions(location, functions);
      continue;
    }
    json.begin_object().member("location", location.string()).key("functions").begin_array();
    for (const StoredFunction& function : functions) write_function(json, function);
    json.end_array().end_object();
  }
  json.end_array();
  if (arguments.json) json.print();
}

/// One line per entry, as they come: there may be millions.
void list_entries(const Arguments& arguments) {
  for (const auto& location : cache_locations(arguments.locations)) {
    const Memory memory = open_cache(location);
    memory.visit_entries(
        [&](const MemoryEntry& entry) {
          EntryMetadata metadata;
          std::string trouble;
          try {
            metadata = entry.metadata();
          } catch (const std::exception& error) {
            trouble = error.what();
          }
          if (arguments.json) {
            Json json;
            json.begin_object().member("location", location.string());
            json.member("entry", entry.name()).member("bytes", entry.bytes());
            json.member("hits", entry.uses()).member("last_used", utc_text(entry.last_used()));
            if (!trouble.empty()) json.member("error", trouble);
            json.member("function", metadata.function).member("arguments", metadata.arguments);
            json.member("seconds", seconds_of(metadata.duration)).key("tags").begin_array();
            for (const std::string& tag : metadata.tags) json.value(tag);
            json.end_array().end_object().print();
          } else {
            const std::string call =
                trouble.empty() ? printable(metadata.function + "(" + metadata.arguments + ")")
                                : red(printable(trouble));
            fmt::print("{}  {:>8}  {:>8}  {}\n", printable(entry.name()), bytes_text(entry.bytes()),
                       duration_text(metadata.duration), call);
          }
        },
        arguments.filter);
  }
}

}  // namespace

void add_cache_list(CLI::App& cache) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = cache.add_subcommand(
      "ls", "List the functions in a cache: versions, entries, sizes, hits, time saved");
  command->add_option("LOCATION", arguments->locations, "Caches");
  add_filter(*command, arguments->filter);
  command->add_option("--sort", arguments->sort, "The order of functions")
      ->check(CLI::IsMember({"name", "size", "age", "hits", "seconds", "items"}))
      ->capture_default_str();
  command->add_flag("--entries", arguments->entries,
                    "List entries: name, size, time that it took to compute, call");
  command->add_flag("--json", arguments->json, "As JSON; with --entries one object per line");
  command->footer(
      "Hits are those on entries that are there now. The time saved is estimated from how long a\n"
      "hundred of a function's entries took.\n\n"
      "Examples:\n"
      "  hoist cache ls\n"
      "  hoist cache ls ~/.cache/fit --sort seconds\n"
      "  hoist cache ls --entries --function 'train*' | sort -k2");
  command->callback([arguments] {
    if (arguments->entries) {
      list_entries(*arguments);
    } else {
      list_functions(*arguments);
    }
  });
}

}  // namespace hoist::tool
