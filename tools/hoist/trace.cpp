// SPDX-License-Identifier: BSD-3-Clause
#include <CLI/CLI.hpp>
#include <hoist/codec.hpp>
#include <hoist/error.hpp>

#include <memory>
#include <string>
#include <string_view>

#include "commands.hpp"
#include "output.hpp"
#include "trace_page.hpp"

namespace hoist::tool {

namespace {

struct Arguments {
  std::string input;
  std::string output;
};

/// JSON as it may stand in a script element, which "</script" would end.
std::string for_script(std::string_view json) {
  std::string text;
  text.reserve(json.size());
  for (const char c : json) {
    if (c == '<') {
      text += "\\u003c";
    } else {
      text += c;
    }
  }
  return text;
}

void write_page(const Arguments& arguments) {
  const std::string json = read_file(arguments.input);
  if (json.find_first_not_of(" \t\r\n") == std::string::npos ||
      json.find("\"traceEvents\"") == std::string::npos) {
    throw DamagedData(arguments.input +
                      ": not a trace; ParallelOptions::trace = \"run.json\" writes one");
  }
  std::string page(trace_page_head);
  page += for_script(json);
  page += trace_page_tail;
  write_whole(arguments.output, page);
}

}  // namespace

void add_trace(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("trace",
                         "Make a page of a loop's trace: timeline, utilisation, batches, "
                         "slowest tasks");
  command->add_option("trace", arguments->input, "What ParallelOptions::trace wrote")->required();
  command->add_option("-o,--output", arguments->output, "The page, one self-contained HTML file")
      ->default_val("trace.html");
  command->footer("Example:\n  hoist trace run.json -o run.html");
  command->callback([arguments] { write_page(*arguments); });
}

}  // namespace hoist::tool
