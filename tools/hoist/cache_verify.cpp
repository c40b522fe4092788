// SPDX-License-Identifier: BSD-3-Clause
//
// hoist cache verify

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <hoist/error.hpp>
#include <hoist/parallel.hpp>

#include <memory>
#include <string>
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
  int jobs = -1;
  bool repair = false;
  bool json = false;
};

/// What is wrong with an entry; the text is empty for nothing.
struct Fault {
  std::string text = {};
  /// Else it can't be read here and now, and may be sound.
  bool is_damage = false;
};

/// One that was removed meanwhile is no entry.
Fault fault_of(const MemoryEntry& entry) {
  try {
    entry.verify();
    return {};
  } catch (const NotFound&) {
    return {};
  } catch (const DamagedData& error) {
    return {.text = error.what(), .is_damage = true};
  } catch (const std::exception& error) {
    return {.text = error.what()};
  }
}

struct Findings {
  std::uint64_t items = 0;
  std::uint64_t bytes = 0;
  std::vector<std::pair<std::string, std::string>> damaged;
  std::uint64_t removed = 0;
};

Findings verify(const std::filesystem::path& location, const Arguments& arguments) {
  const Memory memory = arguments.repair ? open_cache_to_change(location) : open_cache(location);
  const std::vector<MemoryEntry> entries = memory.entries(arguments.filter);
  Findings found;
  found.items = entries.size();
  for (const MemoryEntry& entry : entries) found.bytes += entry.bytes();
  ParallelOptions options{.n_jobs = arguments.jobs, .backend = "threads"};
  if (shows_progress() && !arguments.json) options.progress = true;
  const std::vector<Fault> faults = Parallel(options).map(entries, fault_of);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (faults[i].text.empty()) continue;
    found.damaged.emplace_back(entries[i].name(), faults[i].text);
    if (arguments.repair && faults[i].is_damage && entries[i].remove()) ++found.removed;
  }
  return found;
}

void print(const std::filesystem::path& location, const Findings& found, bool repair) {
  for (const auto& [name, fault] : found.damaged) {
    fmt::print("{}: {}\n", red(printable(name)), printable(fault));
  }
  fmt::print("{}: {} read, {}: {}{}\n", location.string(), counted(found.items, "entry", "entries"),
             bytes_text(found.bytes),
             found.damaged.empty() ? "all sound" : fmt::format("{} damaged", found.damaged.size()),
             repair && !found.damaged.empty() ? fmt::format(", {} removed", found.removed) : "");
}

void verify_all(const Arguments& arguments) {
  Json json;
  json.begin_array();
  for (const auto& location : cache_locations(arguments.locations)) {
    const Findings found = verify(location, arguments);
    if (found.damaged.size() > found.removed) set_exit_code(differs);
    if (!arguments.json) {
      print(location, found, arguments.repair);
      continue;
    }
    json.begin_object().member("location", location.string()).member("items", found.items);
    json.member("bytes", found.bytes).member("removed", found.removed);
    json.key("damaged").begin_array();
    for (const auto& [name, fault] : found.damaged) {
      json.begin_object().member("entry", name).member("error", fault).end_object();
    }
    json.end_array().end_object();
  }
  json.end_array();
  if (arguments.json) json.print();
}

}  // namespace

void add_cache_verify(CLI::App& cache) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = cache.add_subcommand(
      "verify", "Read every entry and check it against its checksums, with all cores");
  command->add_option("LOCATION", arguments->locations, "Caches");
  command->add_option("--function", arguments->filter.function,
                      "Only functions whose name matches");
  command->add_flag("--repair", arguments->repair,
                    "Remove damaged entries; their calls compute again");
  command->add_option("-j,--jobs", arguments->jobs, "Threads; -1: all cores")
      ->capture_default_str();
  command->add_flag("--json", arguments->json, "As JSON");
  command->footer(
      "Exit code 1 if entries are damaged, and weren't removed.\n\n"
      "Examples:\n"
      "  hoist cache verify\n"
      "  hoist cache verify /data/cache --repair");
  command->callback([arguments] { verify_all(*arguments); });
}

}  // namespace hoist::tool
