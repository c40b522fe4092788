// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <hoist/error.hpp>
#include <hoist/file_info.hpp>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "commands.hpp"
#include "json.hpp"
#include "output.hpp"

namespace hoist::tool {

namespace {

struct Arguments {
  std::vector<std::string> files;
  bool json = false;
};

void check(const Arguments& arguments) {
  Json json;
  json.begin_array();
  for (const std::string& file : arguments.files) {
    std::string fault;
    try {
      verify_file(file);
    } catch (const DamagedData& error) {
      fault = error.what();
      set_exit_code(differs);
    }
    if (arguments.json) {
      json.begin_object().member("file", file).member("sound", fault.empty());
      if (!fault.empty()) json.member("error", fault);
      json.end_object();
    } else {
      fmt::print("{}: {}\n", file, fault.empty() ? "sound" : red(fault));
    }
  }
  json.end_array();
  if (arguments.json) json.print();
}

}  // namespace

void add_check(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("check", "Read files whole, and check them against their checksums");
  command->add_option("FILE", arguments->files, "Files in any format that hoist reads")->required();
  command->add_flag("--json", arguments->json, "As JSON");
  command->footer(
      "Exit code 1 if one is damaged. A .npy file and an uncompressed pickle have no checksums:\n"
      "only their structure is checked.\n\n"
      "Example:\n  hoist check results/*.hoist");
  command->callback([arguments] { check(*arguments); });
}

}  // namespace hoist::tool
