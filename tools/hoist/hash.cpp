// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <hoist/hash.hpp>

#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "commands.hpp"
#include "json.hpp"
#include "values.hpp"

namespace hoist::tool {

namespace {

struct Arguments {
  std::vector<std::string> files;
  bool json = false;
};

void hash_files(const Arguments& arguments) {
  Json json;
  json.begin_array();
  for (const std::string& file : arguments.files) {
    try {
      const std::string digest = hash(open_value(file)).hex();
      if (arguments.json) {
        json.begin_object().member("file", file).member("hash", digest).end_object();
      } else {
        fmt::print("{}  {}\n", digest, file);
      }
    } catch (const std::exception& error) {
      // The others can be read, perhaps.
      fmt::print(stderr, "hoist: {}\n", error.what());
      set_exit_code(trouble);
    }
  }
  json.end_array();
  if (arguments.json) json.print();
}

}  // namespace

void add_hash(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("hash", "Hash the content of files");
  command->add_option("FILE", arguments->files, "Files in any format that hoist reads")->required();
  command->add_flag("--json", arguments->json, "As JSON");
  command->footer(
      "The hash (XXH3-128) is of the content: compression doesn't change it, nor does the format,\n"
      "as long as that holds the same types. Exit code 2 if a file can't be read.\n\n"
      "Example:\n  hoist hash runs/*.hoist | sort");
  command->callback([arguments] { hash_files(*arguments); });
}

}  // namespace hoist::tool
