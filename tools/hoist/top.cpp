// SPDX-License-Identifier: BSD-3-Clause
//
// hoist top

#include <fmt/format.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "commands.hpp"
#include "output.hpp"
#include "screen.hpp"
#include "serve.hpp"
#include "top_page.hpp"
#include "top_samples.hpp"

namespace hoist::tool {

namespace {

struct Arguments {
  std::optional<int> pid;
  bool once = false;
  bool json = false;
  double interval = 1;
  std::string address;
};

/// How long --once watches, to tell rates.
constexpr std::chrono::milliseconds glance{300};
constexpr std::size_t bar_width = 20;

/// The beginning of a text, in columns.
std::string cut(const std::string& text, std::size_t columns) {
  if (width_of(text) <= columns) return text;
  std::string shorter;
  for (std::size_t width = 0; const char c : text) {
    if ((static_cast<unsigned char>(c) & 0xC0) != 0x80 && ++width >= columns) break;
    shorter += c;
  }
  return shorter + "…";
}

std::string bar(double part) {
  const auto full = static_cast<std::size_t>(part * bar_width);
  std::string text = "[";
  for (std::size_t i = 0; i < bar_width; ++i) text += i < full ? "█" : "·";
  return text + "]";
}

std::string loop_line(const RunningLoop& loop, const LoopRates& rates) {
  const std::uint64_t finished = loop.done + loop.failed;
  std::string line = fmt::format("  {:<8} {} x{}  ", loop.is_executor ? "executor" : "loop",
                                 printable(loop.backend), loop.workers);
  if (loop.is_executor) {
    line += fmt::format("{} of {} done", count_text(finished),
                        counted(loop.total.value_or(0), "call", "calls"));
  } else if (loop.total && *loop.total > 0) {
    const double part =
        std::min(1.0, static_cast<double>(finished) / static_cast<double>(*loop.total));
    line += fmt::format("{} {:3.0f} %  {}/{}", bar(part), std::floor(part * 100),
                        count_text(finished), count_text(*loop.total));
  } else {
    line += counted(finished, "task", "tasks");
  }
  line += "  " + rate_text(rates.tasks_per_second);
  if (rates.time_left) line += "  " + duration_text(*rates.time_left) + " left";
  if (rates.utilisation) line += fmt::format("  {:.0f} % busy", *rates.utilisation * 100);
  if (loop.failed > 0) line += fmt::format("  {} failed", count_text(loop.failed));
  return line;
}

std::string function_line(const RunningFunction& function, double per_second) {
  return fmt::format("  cached   {}  {} ({:.0f} %), {}  {}", printable(function.name),
                     counted(function.hits, "hit", "hits"), hit_rate(function) * 100,
                     counted(function.misses, "miss", "misses"), rate_text(per_second));
}

std::vector<std::string> lines_of(const TopSamples& samples, std::size_t columns) {
  std::vector<std::string> lines;
  const auto add = [&](const std::string& line) { lines.push_back(cut(line, columns)); };
  lines.push_back(bold(cut("     PID   CPU     MEMORY  PROCESSES  COMMAND", columns)));
  for (const RunningProgram& program : samples.programs()) {
    const std::string row = fmt::format(
        "{:>8} {:>3.0f} % {:>10} {:>10}  {}", program.pid, samples.processors(program) * 100,
        bytes_text(program.memory_bytes), program.processes, printable(program.command));
    lines.push_back(bold(cut(row, columns)));
    for (const RunningLoop& loop : program.loops)
      add(loop_line(loop, samples.rates(program, loop)));
    for (const RunningFunction& function : program.functions) {
      add(function_line(function, samples.calls_per_second(program, function)));
    }
    if (program.ended_loops > 0) {
      add(fmt::format("  ended    {} with {}", counted(program.ended_loops, "loop", "loops"),
                      counted(program.ended_tasks, "task", "tasks")));
    }
  }
  if (samples.programs().empty()) add("No program of this user publishes counters now.");
  return lines;
}

void watch(TopSamples& samples, double interval) {
  const Screen screen;
  const std::chrono::milliseconds time(static_cast<std::int64_t>(interval * 1000));
  do {
    samples.look();
    const Screen::Size size = Screen::size();
    auto lines = lines_of(samples, size.columns);
    if (lines.size() >= size.rows) {
      lines.resize(size.rows - 1);
      lines.push_back(
          faint(cut("… the rest is cut off; hoist top PID shows one program", size.columns)));
    }
    Screen::draw(lines);
  } while (screen.wait(time));
}

void serve(TopSamples& samples, const Arguments& arguments) {
  const auto interval = std::chrono::duration<double>(arguments.interval);
  auto looked = std::chrono::steady_clock::now() - interval;
  serve_pages(arguments.address, "hoist top", [&](std::string_view path) -> std::optional<WebPage> {
    if (path == "top.css") return WebPage{"text/css", top_style()};
    if (path == "top.js") return WebPage{"text/javascript", top_script(arguments.interval)};
    if (!path.empty() && path != "programs.json") return std::nullopt;
    // Many readers make no more looks than one.
    if (const auto now = std::chrono::steady_clock::now(); now - looked >= interval / 2) {
      samples.look();
      looked = now;
    }
    if (path.empty()) return WebPage{"text/html", top_page(samples)};
    return WebPage{"application/json", top_json(samples).text()};
  });
}

void top(const Arguments& arguments) {
  TopSamples samples(arguments.pid);
  samples.look();
  if (!arguments.address.empty()) return serve(samples, arguments);
  if (!arguments.once && !arguments.json && ::isatty(STDOUT_FILENO) == 1) {
    return watch(samples, arguments.interval);
  }
  if (!samples.programs().empty()) {
    std::this_thread::sleep_for(glance);
    samples.look();
  }
  if (arguments.json) return top_json(samples).print();
  const std::size_t columns = ::isatty(STDOUT_FILENO) == 1 ? Screen::size().columns : SIZE_MAX;
  for (const std::string& line : lines_of(samples, columns)) fmt::print("{}\n", line);
}

}  // namespace

void add_top(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand(
      "top", "Watch running programs: progress, rates and workers of loops, hit rates, memory");
  command->add_option("PID", arguments->pid, "Only this program")
      ->check([](const std::string& text) { return number_fault(text, 1, 4194304); });
  CLI::Option* once =
      command->add_flag("--once", arguments->once, "Print what there is now, instead of watching");
  CLI::Option* json = command->add_flag("--json", arguments->json, "The same as JSON");
  command->add_option("--interval", arguments->interval, "Seconds between two looks")
      ->check([](const std::string& text) { return number_fault(text, 0.1, 3600); });
  command
      ->add_option("--serve", arguments->address,
                   "Show it as a page, at an address of this machine alone; port 0: a free one")
      ->type_name("HOST:PORT")
      ->excludes(once, json);
  command->footer(
      "Key q leaves. Programs with hoist publish counters in XDG_RUNTIME_DIR/hoist, for this user "
      "alone,\n"
      "and nothing else; HOIST_TOP=0 in a program's environment turns that off. Loops inside tasks "
      "are\n"
      "parts of the loop around them.\n\n"
      "Examples:\n"
      "  hoist top\n"
      "  hoist top --json | jq '.[].loops[].seconds_left'\n"
      "  hoist top --serve 127.0.0.1:0");
  command->callback([arguments] { top(*arguments); });
}

}  // namespace hoist::tool
