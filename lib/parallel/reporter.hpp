// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/backend.hpp>

#include <cstddef>
#include <optional>
#include <string>

#include "parallel/settings.hpp"

namespace hoist::detail::parallel {

/// Reports a loop's progress as joblib's lines, as a bar, or to a callback. Used by the thread that
/// owns the loop.
class Reporter {
 public:
  explicit Reporter(const Settings& settings);

  /// The latest time for the next call of tick(), so that a bar moves on while tasks are long.
  Clock::time_point next() const { return next_; }
  bool silent() const { return !wants_ticks_ && settings_.options.verbose == 0; }
  /// The driver tells of tasks; time and workers are added.
  void tick(ProgressReport report, const Session& session);
  /// What finish() is to tell, of a session that is over by then.
  void count_workers(const Session& session) { workers_ = session.workers(); }
  void finish(ProgressReport report);

 private:
  void line(const std::string& text);
  void show(ProgressReport& report);
  void lines(std::size_t finished, std::optional<std::size_t> total, bool last);
  void bar(const ProgressReport& report);
  double elapsed() const;

  const Settings& settings_;
  const bool wants_ticks_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point next_ = Clock::time_point::max();
  std::size_t reported_ = 0;
  bool terminal_ = false;
  WorkerCount workers_;
  double reported_at_ = 0;
};

}  // namespace hoist::detail::parallel
