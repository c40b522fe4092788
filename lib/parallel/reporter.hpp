// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/backend.hpp>

#include <cstddef>
#include <optional>

#include "parallel/settings.hpp"

namespace hoist::detail::parallel {

/// Tells of a loop's progress: joblib's lines, a bar, a callback. Used by the thread that owns the
/// loop.
class Reporter {
 public:
  explicit Reporter(const Settings& settings);

  /// When it wants to be called next at the latest, so that a bar goes on while tasks are long.
  Clock::time_point next() const { return next_; }
  bool silent() const { return !wants_ticks_ && settings_.options.verbose == 0; }
  void tick(std::size_t done, std::size_t failed, std::optional<std::size_t> total);
  void finish(std::size_t done, std::size_t failed, std::optional<std::size_t> total);

 private:
  void lines(std::size_t finished, std::optional<std::size_t> total, bool last);
  void bar(std::size_t done, std::size_t failed, std::optional<std::size_t> total, bool last);
  double elapsed() const;

  const Settings& settings_;
  const bool wants_ticks_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point next_ = Clock::time_point::max();
  std::size_t told_ = 0;
  bool terminal_ = false;
  double told_at_ = 0;
};

}  // namespace hoist::detail::parallel
