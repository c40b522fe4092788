// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/loop_driver.hpp>
#include <hoist/detail/read_tasks.hpp>
#include <hoist/generator.hpp>

#include <cstddef>
#include <optional>
#include <type_traits>
#include <utility>

namespace hoist::detail {

/// `Range` is a view, `Calls` says how its items become calls.
template <class Range, class Calls, class R, bool Ordered>
class GeneratorState final
    : public Generator<std::conditional_t<Ordered, Kept<R>, Indexed<Kept<R>>>>::State {
 public:
  using Yield = std::conditional_t<Ordered, Kept<R>, Indexed<Kept<R>>>;

  GeneratorState(const ParallelOptions& options, Range range, Calls calls)
      : tasks_(std::move(range), std::move(calls)),
        driver_(options, tasks_, unread, Ordered ? Deliver::in_order : Deliver::as_completed) {
    driver_.start();
  }

  std::optional<Yield> next(Deadline deadline) override {
    std::size_t task = 0;
    if (!driver_.next(task, deadline)) return std::nullopt;
    if constexpr (Ordered) {
      return tasks_.take(task);
    } else {
      return Yield{task, tasks_.take(task)};
    }
  }

 private:
  ReadTasks<Range, Calls, R> tasks_;
  LoopDriver driver_;
};

}  // namespace hoist::detail
