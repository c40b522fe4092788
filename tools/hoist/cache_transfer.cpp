// SPDX-License-Identifier: BSD-3-Clause
//
// hoist cache merge, export and import

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <hoist/error.hpp>

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
  std::string location;
  std::string archive;
  EntryFilter filter;
  bool json = false;
};

/// What was copied, and 1 as exit code if something was damaged.
void report(const TransferCounts& counts, bool as_json) {
  if (counts.damaged > 0) set_exit_code(differs);
  if (as_json) {
    Json json;
    json.begin_object().member("items", counts.items).member("bytes", counts.bytes);
    json.member("present", counts.present).member("damaged", counts.damaged).end_object().print();
    return;
  }
  fmt::print("{} copied, {}", counted(counts.items, "entry", "entries"), bytes_text(counts.bytes));
  if (counts.present > 0) fmt::print("; {} were there already", count_text(counts.present));
  if (counts.damaged > 0) fmt::print("; {} are damaged and were left out", counts.damaged);
  fmt::print("\n");
}

void merge(const Arguments& arguments) {
  if (arguments.locations.size() < 2) {
    throw BadArgument("name at least two caches: FROM... and INTO");
  }
  std::vector<std::string> from(arguments.locations.begin(), arguments.locations.end() - 1);
  const auto sources = cache_locations(from);
  const Memory into(arguments.locations.back());
  TransferCounts all;
  for (const auto& source : sources) {
    const TransferCounts one = into.merge(open_cache(source), arguments.filter);
    all.items += one.items;
    all.bytes += one.bytes;
    all.present += one.present;
    all.damaged += one.damaged;
  }
  report(all, arguments.json);
}

}  // namespace

void add_cache_transfer(CLI::App& cache) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      cache.add_subcommand("merge", "Copy the entries of caches into another one that lacks them");
  command
      ->add_option("LOCATION", arguments->locations,
                   "FROM... INTO: the last takes the entries of the others, and is made if need be")
      ->required();
  add_filter(*command, arguments->filter);
  command->add_flag("--json", arguments->json, "As JSON");
  command->footer(
      "An entry doesn't depend on where it lies: the results of several machines become one cache\n"
      "for the same program. Each entry is checked.\n\n"
      "Example:\n  hoist cache merge node1/cache node2/cache all/cache");
  command->callback([arguments] { merge(*arguments); });

  arguments = std::make_shared<Arguments>();
  command = cache.add_subcommand("export", "Write a cache, or a part of it, to an archive");
  command->add_option("ARCHIVE", arguments->archive, "A tar file: .tar, .tar.zst, .tar.gz, ...")
      ->required();
  command->add_option("LOCATION", arguments->location, "The cache");
  add_filter(*command, arguments->filter);
  command->add_flag("--json", arguments->json, "As JSON");
  command->footer(
      "The archive appears whole or not at all; unpacked by tar it is a cache directory.\n\n"
      "Example:\n  hoist cache export fits.tar.zst --function 'fit*'");
  command->callback([arguments] {
    const Memory memory = open_cache(one_cache(arguments->location));
    report(memory.export_to(arguments->archive, arguments->filter), arguments->json);
  });

  arguments = std::make_shared<Arguments>();
  command = cache.add_subcommand("import", "Add the entries of an archive to a cache");
  command->add_option("ARCHIVE", arguments->archive, "What export wrote")->required();
  command->add_option("LOCATION", arguments->location, "The cache, which is made if need be");
  command->add_flag("--json", arguments->json, "As JSON");
  command->footer(
      "Each entry is checked; what is no entry in the archive is passed over.\n\n"
      "Example:\n  hoist cache import fits.tar.zst cache");
  command->callback([arguments] {
    const Memory memory(arguments->location.empty() ? one_cache("")
                                                    : std::filesystem::path(arguments->location));
    report(memory.import_from(arguments->archive), arguments->json);
  });
}

}  // namespace hoist::tool
