// SPDX-License-Identifier: BSD-3-Clause
//
// hoist cache prune and hoist cache clear

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <hoist/error.hpp>

#include <charconv>
#include <memory>
#include <optional>
#include <string>

#include "commands.hpp"
#include "json.hpp"
#include "location.hpp"
#include "output.hpp"

namespace hoist::tool {

namespace {

struct Arguments {
  std::string location;
  EntryFilter filter;
  std::string bytes;
  std::string items;
  std::string age;
  bool dry_run = false;
  bool yes = false;
  bool json = false;
};

/// "30d", "12h", "90min", "45s"; a plain number is seconds.
std::chrono::nanoseconds age_of(const std::string& text) {
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto [unit, error] = std::from_chars(text.data(), end, number);
  const std::string_view name(unit, static_cast<std::size_t>(end - unit));
  const double factor = name.empty() || name == "s"    ? 1
                        : name == "m" || name == "min" ? 60
                        : name == "h"                  ? 3600
                        : name == "d"                  ? 86400
                        : name == "w"                  ? 7 * 86400
                                                       : -1;
  const bool is_time = number >= 0 && number * factor <= 9e9;  // and no NaN
  if (error != std::errc() || factor < 0 || !is_time) {
    throw BadArgument("--age " + text + ": a time is a number and s, min, h, d or w, such as 30d");
  }
  return std::chrono::nanoseconds(static_cast<std::int64_t>(number * factor * 1e9));
}

SizeLimits limits_of(const Arguments& arguments) {
  SizeLimits limits;
  if (!arguments.bytes.empty()) limits.bytes_limit = ByteSize(arguments.bytes);
  if (!arguments.age.empty()) limits.age_limit = age_of(arguments.age);
  if (!arguments.items.empty()) {
    std::uint64_t items = 0;
    const char* const end = arguments.items.data() + arguments.items.size();
    const auto [at, error] = std::from_chars(arguments.items.data(), end, items);
    if (error != std::errc() || at != end) {
      throw BadArgument("--items " + arguments.items + ": a number of entries is needed");
    }
    limits.items_limit = items;
  }
  return limits;
}

void report(const Arguments& arguments, const StoreUsage& removed) {
  if (arguments.json) {
    Json json;
    json.begin_object().member("items", removed.items).member("bytes", removed.bytes);
    json.member("dry_run", arguments.dry_run).end_object().print();
  } else {
    fmt::print("{} {}, {}\n", arguments.dry_run ? "would remove" : "removed",
               counted(removed.items, "entry", "entries"), bytes_text(removed.bytes));
  }
}

/// An empty value, of a variable that isn't set perhaps, must not mean that there is no limit.
std::string is_there(const std::string& text) { return text.empty() ? "its value is empty" : ""; }

void prune(const Arguments& arguments) {
  SizeLimits limits = limits_of(arguments);
  if (!limits.bytes_limit && !limits.items_limit && !limits.age_limit) {
    if (arguments.filter.function.empty() && arguments.filter.tags.empty()) {
      throw BadArgument(
          "give a limit (--bytes, --items, --age), or what to remove (--function, --tag)");
    }
    limits.items_limit = 0;
  }
  const auto location = one_cache(arguments.location);
  const StoreUsage removed =
      arguments.dry_run ? open_cache(location).excess(limits, arguments.filter)
                        : open_cache_to_change(location).reduce_size(limits, arguments.filter);
  report(arguments, removed);
}

void clear(const Arguments& arguments) {
  const auto location = one_cache(arguments.location);
  const StoreUsage there = open_cache(location).excess({.items_limit = 0});
  if (!arguments.yes) {
    throw BadArgument(fmt::format("this would remove {} ({}) from {}; --yes does it",
                                  counted(there.items, "entry", "entries"), bytes_text(there.bytes),
                                  location.string()));
  }
  open_cache_to_change(location).clear();
  report(arguments, there);
}

}  // namespace

void add_cache_prune(CLI::App& cache) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = cache.add_subcommand(
      "prune", "Remove entries, least recently used first, until a cache is within limits");
  command->add_option("LOCATION", arguments->location, "The cache");
  command->add_option("--bytes", arguments->bytes, "Keep at most so much, such as 1G")
      ->check(is_there);
  command->add_option("--items", arguments->items, "Keep at most so many entries")->check(is_there);
  command
      ->add_option("--age", arguments->age,
                   "Remove what wasn't used for so long, such as 30d or 12h")
      ->check(is_there);
  command
      ->add_option("--function", arguments->filter.function,
                   "Only entries of functions whose name matches; all of them without a limit")
      ->check(is_there);
  command
      ->add_option("--tag", arguments->filter.tags,
                   "Only entries with one of these tags; all of them without a limit")
      ->allow_extra_args(false);
  command->add_flag("-n,--dry-run", arguments->dry_run, "Only tell what would be removed");
  command->add_flag("--json", arguments->json, "As JSON");
  command->footer(
      "Programs may use the cache meanwhile.\n\n"
      "Examples:\n"
      "  hoist cache prune --bytes 10G --age 90d\n"
      "  hoist cache prune --function 'old_*' --dry-run\n"
      "  hoist cache prune runs/cache --tag trial");
  command->callback([arguments] { prune(*arguments); });
}

void add_cache_clear(CLI::App& cache) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = cache.add_subcommand("clear", "Remove all entries of a cache");
  command->add_option("LOCATION", arguments->location, "The cache");
  command->add_flag("--yes", arguments->yes, "Do it; without this, only how much there is");
  command->add_flag("--json", arguments->json, "As JSON");
  command->footer("Example:\n  hoist cache clear runs/cache --yes");
  command->callback([arguments] { clear(*arguments); });
}

}  // namespace hoist::tool
