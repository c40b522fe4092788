// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/running_programs.hpp>

#include <chrono>
#include <deque>
#include <optional>
#include <vector>

namespace hoist::tool {

/// What changes of a loop. Nothing where it isn't known.
struct LoopRates {
  double tasks_per_second = 0;
  std::optional<std::chrono::nanoseconds> time_left;
  /// The part of the time that its workers spend in tasks, from 0 to 1.
  std::optional<double> utilisation;
};

/// The part of the calls so far that were hits.
double hit_rate(const RunningFunction& function);

/// Looks at the running programs, of which the last ten seconds tell the rates.
class TopSamples {
 public:
  /// Of all programs, or of one.
  explicit TopSamples(std::optional<int> pid) : pid_(pid) {}

  /// Looks again. Throws as `running_programs`.
  void look();
  const std::vector<RunningProgram>& programs() const { return looks_.back().programs; }

  LoopRates rates(const RunningProgram& program, const RunningLoop& loop) const;
  /// Processors in use.
  double processors(const RunningProgram& program) const;
  double calls_per_second(const RunningProgram& program, const RunningFunction& function) const;

 private:
  struct Look {
    std::chrono::steady_clock::time_point at;
    std::vector<RunningProgram> programs;
  };
  /// The program at the first look that knew it, and how long ago that was; null if that is now.
  struct Before {
    const RunningProgram* program = nullptr;
    double seconds = 0;
  };
  Before before(const RunningProgram& program) const;

  std::optional<int> pid_;
  std::deque<Look> looks_;
};

}  // namespace hoist::tool
