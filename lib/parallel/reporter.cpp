// SPDX-License-Identifier: BSD-3-Clause
#include "parallel/reporter.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <string>

#include <fmt/format.h>

#include "os/log.hpp"

namespace hoist::detail::parallel {

namespace {

constexpr auto interval = std::chrono::milliseconds(100);
/// Where stderr is no terminal, a line replaces the bar once in this time.
constexpr double line_seconds = 10;

std::string duration(double seconds) {
  return seconds < 60 ? fmt::format("{:5.1f}s", seconds) : fmt::format("{:4.1f}min", seconds / 60);
}

}  // namespace

Reporter::Reporter(const Settings& settings)
    : settings_(settings),
      wants_ticks_(settings.options.progress.bar() || settings.options.progress.callback()) {
  if (wants_ticks_) next_ = start_ + interval;
  if (settings.options.progress.bar()) terminal_ = ::isatty(STDERR_FILENO) == 1;
  if (settings_.options.verbose > 0) {
    line(fmt::format("Using backend {} with {} concurrent workers.", settings_.backend_name,
                     settings_.n_jobs));
  }
}

double Reporter::elapsed() const {
  return std::chrono::duration<double>(Clock::now() - start_).count();
}

void Reporter::tick(ProgressReport report, const Session& session) {
  const std::size_t finished = report.done + report.failed;
  if (settings_.options.verbose > 0 && finished > reported_) lines(finished, report.total, false);
  if (!wants_ticks_) return;
  const Clock::time_point now = Clock::now();
  if (now < next_) return;
  next_ = now + interval;
  count_workers(session);
  show(report);
}

void Reporter::finish(ProgressReport report) {
  if (settings_.options.verbose > 0) lines(report.done + report.failed, report.total, true);
  report.finished = true;
  show(report);
}

void Reporter::show(ProgressReport& report) {
  report.seconds = elapsed();
  report.workers = workers_.workers > 0 ? workers_.workers : settings_.n_jobs;
  report.machines = workers_.machines;
  if (const auto& callback = settings_.options.progress.callback()) {
    callback(report);
  } else if (settings_.options.progress.bar()) {
    bar(report);
  }
}

/// One line, as joblib prints it.
void Reporter::line(const std::string& text) {
  if (os::log_to_handler(LogLevel::info, "parallel", text)) return;
  std::FILE* out = settings_.options.verbose >= 50 ? stdout : stderr;
  fmt::print(out, "[Parallel(n_jobs={})]: {}\n", settings_.n_jobs, text);
}

void Reporter::lines(std::size_t finished, std::optional<std::size_t> total, bool last) {
  const double seconds = elapsed();
  if (last) {
    if (total && finished == *total) {
      line(fmt::format("Done {:3d} out of {:3d} | elapsed: {} finished", finished, *total,
                       duration(seconds)));
    }
    return;
  }
  // As joblib does: with a verbosity v below 11, a line for each integer that the square root of
  // finished / ((11 - v)^2 / 2) passes, hence ever fewer lines.
  const int verbose = settings_.options.verbose;
  const double unit = verbose > 10 ? 0 : 0.5 * (11 - verbose) * (11 - verbose);
  for (std::size_t i = reported_ + 1; i <= finished; ++i) {
    if (unit > 0) {
      const double now = static_cast<double>(i);
      if (std::floor(std::sqrt(now / unit)) == std::floor(std::sqrt((now - 1) / unit))) continue;
    } else if (i < finished && finished - reported_ > 100) {
      // One line is enough for many tasks that finished since the last look.
      continue;
    }
    if (total) {
      if (i == *total) continue;
      const double left = seconds / static_cast<double>(i) * static_cast<double>(*total - i);
      line(fmt::format("Done {:3d} out of {:3d} | elapsed: {} remaining: {}", i, *total,
                       duration(seconds), duration(left)));
    } else {
      line(fmt::format("Done {:3d} tasks      | elapsed: {}", i, duration(seconds)));
    }
  }
  reported_ = finished;
}

void Reporter::bar(const ProgressReport& report) {
  const double seconds = report.seconds;
  const auto& total = report.total;
  if (!terminal_ && !report.finished && seconds - reported_at_ < line_seconds) return;
  reported_at_ = seconds;
  const auto finished = static_cast<double>(report.done + report.failed);
  const double rate = seconds > 0 ? finished / seconds : 0;
  std::string text;
  if (total && *total > 0) {
    const double part = finished / static_cast<double>(*total);
    if (terminal_) {
      constexpr int width = 30;
      const int full = static_cast<int>(part * width);
      text = fmt::format("[{}{}] ", std::string(static_cast<std::size_t>(full), '#'),
                         std::string(static_cast<std::size_t>(width - full), '.'));
    }
    text += fmt::format("{:3.0f} % {}/{}", part * 100, report.done + report.failed, *total);
  } else {
    text = fmt::format("{} tasks", report.done + report.failed);
  }
  text += fmt::format(" | {} | {:.1f}/s", duration(seconds), rate);
  if (!report.finished && total && rate > 0) {
    text += fmt::format(" | {} left", duration((static_cast<double>(*total) - finished) / rate));
  }
  text += fmt::format(" | {} worker{} ", report.workers, report.workers == 1 ? "" : "s");
  if (report.machines > 0) {
    text += fmt::format("on {} host{} ", report.machines, report.machines == 1 ? "" : "s");
  }
  text += fmt::format("({})", settings_.backend_name);
  if (report.failed > 0) text += fmt::format(" | {} failed", report.failed);
  // One write, so that it does not mix with the output of tasks.
  text = terminal_ ? "\r\x1b[K" + text + (report.finished ? "\n" : "") : text + "\n";
  std::fputs(text.c_str(), stderr);
  std::fflush(stderr);
}

}  // namespace hoist::detail::parallel
