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
  void tick(std::size_t done, std::size_t failed, std::optional<std::size_t> total);
  void finish(std::size_t done, std::size_t failed, std::optional<std::size_t> total);

 private:
  void line(const std::string& text);
  void lines(std::size_t finished, std::optional<std::size_t> total, bool last);
  void bar(std::size_t done, std::size_t failed, std::optional<std::size_t> total, bool last);
  double elapsed() const;

  const Settings& settings_;
  const bool wants_ticks_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point next_ = Clock::time_point::max();
  std::size_t reported_ = 0;
  bool terminal_ = false;
  double reported_at_ = 0;
};

}  // namespace hoist::detail::parallel
