// SPDX-License-Identifier: BSD-3-Clause
#include "top_page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string_view>

#include "html.hpp"
#include "output.hpp"

namespace hoist::tool {

namespace {

void append_loop(std::string& page, const RunningLoop& loop, const LoopRates& rates) {
  const std::uint64_t finished = loop.done + loop.failed;
  std::string progress = count_text(finished);
  if (loop.total) {
    progress += " of " + count_text(*loop.total);
    if (!loop.is_executor && *loop.total > 0) {
      progress = fmt::format(
          "<progress max=\"{0}\" value=\"{1}\" aria-label=\"tasks done\">"
          "</progress> {2}",
          *loop.total, std::min(finished, *loop.total), progress);
    }
  }
  page += fmt::format("<tr><td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}</tr>\n",
                      loop.is_executor ? "executor" : "loop", escaped(loop.backend), loop.workers,
                      progress, rate_text(rates.tasks_per_second),
                      rates.time_left ? duration_text(*rates.time_left) : "",
                      rates.utilisation ? fmt::format("{:.0f} %", *rates.utilisation * 100) : "",
                      loop.failed > 0 ? count_text(loop.failed) : "");
}

void append_program(std::string& page, const TopSamples& samples, const RunningProgram& program) {
  page += fmt::format(
      "<h2><code>{}</code></h2>\n"
      "<p class=\"faint\">process {}, since {} · {:.0f} % of a processor · {} · {}</p>\n",
      escaped(program.command), program.pid, utc_text(program.started),
      samples.processors(program) * 100, bytes_text(program.memory_bytes),
      counted(program.processes, "process", "processes"));
  if (!program.loops.empty()) {
    page +=
        "<div class=\"wide\" tabindex=\"0\"><table><tr><th>kind<th>backend<th>workers<th>tasks<th>"
        "rate<th>left<th>busy<th>failed</tr>\n";
    for (const RunningLoop& loop : program.loops) {
      append_loop(page, loop, samples.rates(program, loop));
    }
    page += "</table></div>\n";
  }
  if (!program.functions.empty()) {
    page +=
        "<div class=\"wide\" tabindex=\"0\"><table><tr><th>cached "
        "function<th>hits<th>misses<th>hit "
        "rate<th>calls</tr>\n";
    for (const RunningFunction& function : program.functions) {
      page += fmt::format("<tr><td>{}<td>{}<td>{}<td>{:.0f} %<td>{}</tr>\n", escaped(function.name),
                          count_text(function.hits), count_text(function.misses),
                          hit_rate(function) * 100,
                          rate_text(samples.calls_per_second(program, function)));
    }
    page += "</table></div>\n";
  }
  if (program.ended_loops > 0) {
    page += fmt::format("<p class=\"faint\">Ended: {} with {}</p>\n",
                        counted(program.ended_loops, "loop", "loops"),
                        counted(program.ended_tasks, "task", "tasks"));
  }
}

}  // namespace

Json top_json(const TopSamples& samples) {
  Json json;
  json.begin_array();
  for (const RunningProgram& program : samples.programs()) {
    json.begin_object().member("pid", program.pid).member("command", program.command);
    json.member("started", utc_text(program.started)).member("processes", program.processes);
    json.member("processors", samples.processors(program));
    json.member("memory_bytes", program.memory_bytes).key("loops").begin_array();
    for (const RunningLoop& loop : program.loops) {
      const LoopRates rates = samples.rates(program, loop);
      json.begin_object().member("kind", loop.is_executor ? "executor" : "loop");
      json.member("backend", loop.backend).member("workers", loop.workers);
      json.member("started", utc_text(loop.started));
      json.key("total");
      loop.total ? json.value(*loop.total) : json.value(NAN);
      json.member("done", loop.done).member("failed", loop.failed);
      json.member("tasks_per_second", rates.tasks_per_second);
      json.member("seconds_left",
                  rates.time_left ? std::chrono::duration<double>(*rates.time_left).count() : NAN);
      json.member("utilisation", rates.utilisation.value_or(NAN));
      json.end_object();
    }
    json.end_array().key("functions").begin_array();
    for (const RunningFunction& function : program.functions) {
      json.begin_object().member("name", function.name).member("hits", function.hits);
      json.member("misses", function.misses).member("hit_rate", hit_rate(function));
      json.member("calls_per_second", samples.calls_per_second(program, function)).end_object();
    }
    json.end_array().member("ended_loops", program.ended_loops);
    json.member("ended_tasks", program.ended_tasks).end_object();
  }
  json.end_array();
  return json;
}

std::string top_page(const TopSamples& samples) {
  const auto now = std::chrono::system_clock::now();
  std::string page = fmt::format(
      R"page(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>hoist top</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="top.css">
<script src="top.js" defer></script>
<noscript><meta http-equiv="refresh" content="5"></noscript>
<main>
<h1>hoist top</h1>
<p class="faint">{}, at {}</p>
)page",
      counted(samples.programs().size(), "running program", "running programs"), utc_text(now));
  for (const RunningProgram& program : samples.programs()) append_program(page, samples, program);
  if (samples.programs().empty())
    page += "<p>No program of this user publishes counters now.</p>\n";
  return page + "</main>\n<p id=\"trouble\" role=\"status\"></p>\n</html>\n";
}

std::string top_style() {
  return std::string(page_style) + R"css(
  h2 { font-size: 1.05rem; margin: 2rem 0 0; }
  h2 code { font: 600 14px/1.5 ui-monospace, monospace; }
  h2 + p { margin-top: 0; }
  .wide { overflow-x: auto; margin: .5rem 0; }
  table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
  td, th { padding: .15rem 1.2rem .15rem 0; text-align: left; white-space: nowrap; }
  th { font-weight: 600; border-bottom: 1px solid var(--line); }
  progress { accent-color: var(--mark); width: 8rem; }
)css";
}

std::string top_script(double interval_seconds) {
  return fmt::format(R"js("use strict";
const trouble = document.getElementById("trouble");
let focused = -1;
async function look() {{
  try {{
    const answer = await fetch("./");
    const text = await answer.text();
    if (!answer.ok) throw new Error(text);
    const fresh = new DOMParser().parseFromString(text, "text/html").querySelector("main");
    const old = document.querySelector("main");
    const tables = [...old.querySelectorAll(".wide")];
    const at = tables.indexOf(document.activeElement);
    const offsets = tables.map(table => table.scrollLeft);
    old.replaceWith(fresh);
    fresh.querySelectorAll(".wide").forEach((table, i) => {{
      table.scrollLeft = offsets[i] ?? 0;
      if (i === at) table.focus();
    }});
    trouble.textContent = "";
  }} catch (error) {{
    trouble.textContent = error instanceof TypeError ? "hoist top has ended." : error.message;
  }}
  setTimeout(look, {0});
}}
setTimeout(look, {0});
)js",
                     static_cast<std::int64_t>(interval_seconds * 1000));
}

}  // namespace hoist::tool
