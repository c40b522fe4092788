// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <hoist/convert_file.hpp>
#include <hoist/error.hpp>
#include <hoist/file_info.hpp>

#include <charconv>
#include <memory>
#include <optional>
#include <string>

#include "commands.hpp"
#include "json.hpp"
#include "output.hpp"

namespace hoist::tool {

namespace {

struct Arguments {
  std::string from;
  std::string to;
  std::string compress;
  std::optional<int> level;
  unsigned threads = 0;
  bool json = false;
};

/// "zstd:3", "gzip", "3" or "none".
Compression compression_of(const Arguments& arguments) {
  std::string method = arguments.compress;
  int level = arguments.level.value_or(Compression::default_level);
  if (method.empty()) return arguments.level ? Compression(level) : Compression();
  if (method == "none") {
    if (arguments.level) throw BadArgument("--compress none has no --level");
    return Compression(false);
  }
  const std::size_t colon = method.find(':');
  const std::string number = colon == std::string::npos ? method : method.substr(colon + 1);
  int given = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), given);
  const bool is_number = error == std::errc() && end == number.data() + number.size();
  if (arguments.level && (colon != std::string::npos || is_number)) {
    throw BadArgument("--compress " + method + " and --level both say a level");
  }
  if (colon == std::string::npos)
    return is_number ? Compression(given) : Compression(method, level);
  if (!is_number) throw BadArgument("--compress " + method + ": zstd:3 is a method and its level");
  return Compression(method.substr(0, colon), given);
}

void convert(const Arguments& arguments) {
  convert_file(arguments.from, arguments.to,
               {.compress = compression_of(arguments), .threads = arguments.threads});
  if (!arguments.json) return;
  const FileInfo info = file_info(arguments.to);
  Json json;
  json.begin_object().member("file", arguments.to).member("format", info.format);
  json.member("compression", info.compression).member("block_compression", info.block_compression);
  json.member("bytes", info.bytes).end_object().print();
}

}  // namespace

void add_convert(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("convert", "Write a file's content in another format or compression");
  command->add_option("IN", arguments->from, "A .hoist, .npy, .npz, .joblib or .pkl file")
      ->required();
  command
      ->add_option("OUT", arguments->to,
                   "Its extension says the format, and .gz, .bz2, .xz, .lz4, .zst behind it the "
                   "compression")
      ->required();
  command->add_option("--compress", arguments->compress,
                      "A method, a level, or both: zstd, 9, zstd:3; or none");
  command->add_option("--level", arguments->level, "From 1 (fast) to 9 (small)")
      ->check(CLI::Range(0, 9));
  command->add_option("--threads", arguments->threads, "Threads; 0: one for each core")
      ->capture_default_str();
  command->add_flag("--json", arguments->json, "Tell about the new file as JSON");
  command->footer(
      "A file of one array of numbers may be larger than memory. The new file appears whole or "
      "not\n"
      "at all.\n\n"
      "Examples:\n"
      "  hoist convert table.npy table.hoist.zst\n"
      "  hoist convert model.joblib model.hoist --compress zstd:9");
  command->callback([arguments] { convert(*arguments); });
}

}  // namespace hoist::tool
