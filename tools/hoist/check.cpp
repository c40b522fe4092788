// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <hoist/error.hpp>
#include <hoist/file_info.hpp>

#include <algorithm>
#include <exception>
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
  ExitCode code = success;
  for (const std::string& file : arguments.files) {
    std::string fault;
    try {
      verify_file(file);
    } catch (const DamagedData& error) {
      fault = error.what();
      code = std::max(code, differs);
    } catch (const std::exception& error) {
      // It can't be read here and now; the others can, perhaps.
      fault = error.what();
      code = trouble;
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
  set_exit_code(code);
}

}  // namespace

void add_check(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("check", "Read files whole, and check them against their checksums");
  command->add_option("FILE", arguments->files, "Files in any format that hoist reads")->required();
  command->add_flag("--json", arguments->json, "As JSON");
  command->footer(
      "Exit code 1 if one is damaged, 2 if one can't be read. A .npy file and an uncompressed\n"
      "pickle have no checksums: only their structure is checked.\n\n"
      "Example:\n  hoist check results/*.hoist");
  command->callback([arguments] { check(*arguments); });
}

}  // namespace hoist::tool
