// SPDX-License-Identifier: BSD-3-Clause
#include "top_samples.hpp"

#include <hoist/error.hpp>

#include <algorithm>
#include <string>
#include <utility>

namespace hoist::tool {

namespace {

constexpr std::chrono::seconds window{10};
/// With fewer tasks in the window than these for each worker, the loop's whole time tells more.
constexpr std::uint64_t enough_tasks = 5;

double seconds(std::chrono::nanoseconds duration) {
  return std::chrono::duration<double>(duration).count();
}

double part(std::chrono::nanoseconds busy, unsigned workers, double time) {
  return workers == 0 || time <= 0 ? 0 : std::clamp(seconds(busy) / (workers * time), 0.0, 1.0);
}

}  // namespace

double hit_rate(const RunningFunction& function) {
  const auto calls = static_cast<double>(function.hits + function.misses);
  return calls > 0 ? static_cast<double>(function.hits) / calls : 0;
}

void TopSamples::look() {
  Look look{.at = std::chrono::steady_clock::now(), .programs = running_programs()};
  if (pid_) {
    std::erase_if(look.programs, [&](const RunningProgram& one) { return one.pid != *pid_; });
    if (look.programs.empty()) {
      throw NotFound("process " + std::to_string(*pid_) +
                     " is no program of this user that publishes counters (see hoist top --help)");
    }
  }
  while (looks_.size() > 1 && look.at - looks_[1].at >= window) looks_.pop_front();
  looks_.push_back(std::move(look));
}

TopSamples::Before TopSamples::before(const RunningProgram& program) const {
  for (const Look& look : looks_) {
    if (&look == &looks_.back()) break;
    const auto same = std::ranges::find_if(look.programs, [&](const RunningProgram& one) {
      return one.pid == program.pid && one.started == program.started;
    });
    if (same != look.programs.end()) return {&*same, seconds(looks_.back().at - look.at)};
  }
  return {};
}

LoopRates TopSamples::rates(const RunningProgram& program, const RunningLoop& loop) const {
  const std::uint64_t finished = loop.done + loop.failed;
  double time = seconds(std::chrono::system_clock::now() - loop.started);
  std::uint64_t tasks = finished;
  auto busy = loop.busy;
  const auto [earlier, ago] = before(program);
  if (earlier != nullptr && ago > 0) {
    const auto same = std::ranges::find(earlier->loops, loop.number, &RunningLoop::number);
    // Idle executors have done nothing lately, which is what is to be told.
    if (same != earlier->loops.end() &&
        (loop.is_executor ||
         finished - (same->done + same->failed) >= enough_tasks * loop.workers)) {
      time = ago;
      tasks = finished - (same->done + same->failed);
      if (busy) busy = *busy - same->busy.value_or(std::chrono::nanoseconds(0));
    }
  }
  LoopRates rates;
  if (time > 0) rates.tasks_per_second = static_cast<double>(tasks) / time;
  if (loop.total && !loop.is_executor && rates.tasks_per_second > 0) {
    const std::uint64_t left = *loop.total - std::min(*loop.total, finished);
    const double seconds_left = static_cast<double>(left) / rates.tasks_per_second;
    rates.time_left =
        std::chrono::nanoseconds(static_cast<std::int64_t>(std::min(seconds_left, 9e9) * 1e9));
  }
  // Tasks that are under way don't count yet, so before the first ones end nothing is known.
  if (busy && finished > 0) rates.utilisation = part(*busy, loop.workers, time);
  return rates;
}

double TopSamples::processors(const RunningProgram& program) const {
  const auto [earlier, ago] = before(program);
  if (earlier != nullptr && ago > 0) {
    return std::max(0.0, seconds(program.cpu - earlier->cpu)) / ago;
  }
  const double age = seconds(std::chrono::system_clock::now() - program.started);
  return age > 0 ? seconds(program.cpu) / age : 0;
}

double TopSamples::calls_per_second(const RunningProgram& program,
                                    const RunningFunction& function) const {
  const auto [earlier, ago] = before(program);
  if (earlier == nullptr || ago <= 0) return 0;
  const auto same = std::ranges::find(earlier->functions, function.name, &RunningFunction::name);
  const std::uint64_t calls = function.hits + function.misses;
  const std::uint64_t known = same == earlier->functions.end() ? 0 : same->hits + same->misses;
  return static_cast<double>(calls - std::min(calls, known)) / ago;
}

}  // namespace hoist::tool
