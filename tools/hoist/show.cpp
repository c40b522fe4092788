// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <hoist/error.hpp>
#include <hoist/file_info.hpp>

#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

#include "commands.hpp"
#include "json.hpp"
#include "output.hpp"
#include "tree.hpp"
#include "value_page.hpp"
#include "values.hpp"

namespace hoist::tool {

namespace {

struct Arguments {
  std::string file;
  std::string path;
  TreeOptions tree;
  std::string page;
  bool json = false;
};

/// "hoist container, zstd blocks, 1.5 MiB".
std::string describe(const FileInfo& info) {
  std::string text = info.format == "hoist" ? "hoist container" : info.format;
  if (!info.block_compression.empty()) text += ", " + info.block_compression + " blocks";
  if (!info.compression.empty()) text += ", compressed by " + info.compression;
  return text + ", " + bytes_text(info.bytes);
}

void show(const Arguments& arguments) {
  std::error_code ignored;
  if (std::filesystem::is_other(arguments.file, ignored)) {
    throw BadArgument("\"" + arguments.file +
                      "\" is a pipe or a device, and show reads a file more than once: write its "
                      "content to a file first");
  }
  const FileInfo info = file_info(arguments.file);
  const Value value = part_of(open_value(arguments.file), arguments.path);
  const std::string name = arguments.path.empty() ? "value" : arguments.path;
  if (!arguments.page.empty()) {
    write_whole(arguments.page,
                value_page(arguments.file, describe(info), name, value, arguments.tree));
    return;
  }
  if (!arguments.json) {
    fmt::print("{}: {}\n", arguments.file, describe(info));
    print_tree(name, value, arguments.tree);
    return;
  }
  Json json;
  json.begin_object().member("file", arguments.file).member("format", info.format);
  json.member("compression", info.compression).member("bytes", info.bytes);
  json.member("block_compression", info.block_compression).member("schema", info.schema);
  json.member("path", arguments.path).key("value");
  write_tree(json, value, arguments.tree);
  json.end_object().print();
}

}  // namespace

void add_show(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("show", "Show what is in a file: structure, types, shapes, statistics");
  command->add_option("FILE", arguments->file, "A .hoist, .npy, .npz, .joblib or .pkl file")
      ->required();
  command->add_option("PATH", arguments->path, "The part to show, such as weights[3].bias");
  command->add_option("--head", arguments->tree.head, "How many items and elements to show of each")
      ->check([](const std::string& text) { return number_fault(text, 1, 1e9); })
      ->capture_default_str();
  command->add_flag("--plot", arguments->tree.plot, "Draw arrays of numbers");
  command->add_flag("--all", arguments->tree.all,
                    "Statistics of all elements; of arrays of over 64 MiB a sample is taken");
  command->add_option("--html", arguments->page, "Write a page instead, in one file");
  command->add_flag("--json", arguments->json, "As JSON");
  command->footer(
      "Uncompressed files are mapped: their size doesn't matter. Reading a pickle runs nothing.\n\n"
      "Examples:\n"
      "  hoist show model.hoist\n"
      "  hoist show model.joblib 'weights[3]' --plot\n"
      "  hoist show table.npy --html table.html");
  command->callback([arguments] { show(*arguments); });
}

}  // namespace hoist::tool
