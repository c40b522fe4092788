// SPDX-License-Identifier: BSD-3-Clause
//
// hoist cache stats

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <cmath>
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
  bool json = false;
};

/// Sizes and ages of all entries, in classes.
struct Statistics {
  std::uint64_t items = 0;
  std::uint64_t bytes = 0;
  std::uint64_t hits = 0;
  std::uint64_t never_hit = 0;
  /// Up to 4 KiB, 64 KiB, 1 MiB, 16 MiB, and more.
  std::array<std::uint64_t, 5> sizes = {};
  /// Last used within an hour, a day, a week, 30 days, and before.
  std::array<std::uint64_t, 5> ages = {};
};

constexpr std::array<const char*, 5> size_names = {"to 4 KiB", "to 64 KiB", "to 1 MiB", "to 16 MiB",
                                                   "more"};
constexpr std::array<const char*, 5> age_names = {"last hour", "last day", "last week",
                                                  "last 30 days", "before"};

Statistics statistics_of(const Memory& memory) {
  using namespace std::chrono_literals;
  constexpr std::array<std::uint64_t, 4> size_limits = {4096, 65536, 1 << 20, 16 << 20};
  constexpr std::array<std::chrono::seconds, 4> age_limits = {1h, 24h, 7 * 24h, 30 * 24h};
  const auto now = std::chrono::system_clock::now();
  Statistics all;
  memory.visit_entries([&](const MemoryEntry& entry) {
    ++all.items;
    all.bytes += entry.bytes();
    all.hits += entry.uses();
    all.never_hit += entry.uses() == 0 ? 1 : 0;
    const auto size = std::ranges::lower_bound(size_limits, entry.bytes());
    const auto age = std::ranges::lower_bound(age_limits, now - entry.last_used());
    ++all.sizes[static_cast<std::size_t>(size - size_limits.begin())];
    ++all.ages[static_cast<std::size_t>(age - age_limits.begin())];
  });
  return all;
}

void print_classes(const char* title, const std::array<const char*, 5>& names,
                   const std::array<std::uint64_t, 5>& counts, std::uint64_t total) {
  fmt::print("  {}\n", bold(title));
  for (std::size_t i = 0; i < names.size(); ++i) {
    const double part =
        total == 0 ? 0 : static_cast<double>(counts[i]) / static_cast<double>(total);
    std::string bar;
    for (long n = std::lround(part * 40); n > 0; --n) bar += "█";
    fmt::print("    {:<13}{:>12} {}\n", names[i], count_text(counts[i]), bar);
  }
}

void write_classes(Json& json, const char* key, const std::array<const char*, 5>& names,
                   const std::array<std::uint64_t, 5>& counts) {
  json.key(key).begin_object();
  for (std::size_t i = 0; i < names.size(); ++i) json.member(names[i], counts[i]);
  json.end_object();
}

void statistics(const Arguments& arguments) {
  Json json;
  json.begin_array();
  for (const auto& location : cache_locations(arguments.locations)) {
    const Memory memory = open_cache(location);
    const Statistics all = statistics_of(memory);
    if (arguments.json) {
      json.begin_object().member("location", location.string()).member("items", all.items);
      json.member("bytes", all.bytes).member("hits", all.hits).member("never_hit", all.never_hit);
      write_classes(json, "sizes", size_names, all.sizes);
      write_classes(json, "last_used", age_names, all.ages);
      json.end_object();
      continue;
    }
    fmt::print("{}: {}, {}; {}, {} were never hit\n", bold(location.string()),
               counted(all.items, "entry", "entries"), bytes_text(all.bytes),
               counted(all.hits, "hit", "hits"), count_text(all.never_hit));
    if (all.items == 0) continue;
    print_classes("size", size_names, all.sizes, all.items);
    print_classes("last used", age_names, all.ages, all.items);
  }
  json.end_array();
  if (arguments.json) json.print();
}

}  // namespace

void add_cache_stats(CLI::App& cache) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      cache.add_subcommand("stats", "Tell how large and how old the entries of a cache are");
  command->add_option("LOCATION", arguments->locations, "Caches");
  command->add_flag("--json", arguments->json, "As JSON");
  command->footer("Example:\n  hoist cache stats ~/.cache/fit");
  command->callback([arguments] { statistics(*arguments); });
}

}  // namespace hoist::tool
