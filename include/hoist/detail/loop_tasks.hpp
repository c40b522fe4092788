// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/loop_calls.hpp>
#include <hoist/detail/loop_results.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <iterator>
#include <ranges>
#include <type_traits>
#include <utility>

namespace hoist::detail {

/// Calls one(i) for each task until the end, or until `run.attention` is set.
template <class One>
std::size_t run_tasks(TaskRange tasks, TaskRun& run, One&& one) {
  const std::atomic<bool>& attention = *run.attention;
  std::size_t i = tasks.first;
  while (i < tasks.last) {
    try {
      if (run.each) {
        for (; i < tasks.last; ++i) {
          if (attention.load(std::memory_order_relaxed)) return i;
          run.begin(i);
          run.info.index = i;
          one(i);
          run.end(i);
        }
      } else {
        while (i < tasks.last) {
          if (attention.load(std::memory_order_relaxed)) return i;
          for (const std::size_t end = i + std::min(run.stride, tasks.last - i); i < end; ++i) {
            run.info.index = i;
            one(i);
          }
        }
      }
    } catch (...) {
      const std::size_t failed = i++;
      if (!run.failed(failed, std::current_exception())) return i;
    }
  }
  return i;
}

/// Calls complete(i) where a task is over: after run.end(), which may yet fail it.
template <class Complete>
class CompletingRun final : public TaskRun {
 public:
  CompletingRun(TaskRun& run, const Complete& complete)
      : TaskRun(run), run_(run), complete_(complete) {}
  void begin(std::size_t task) override {
    run_.info.index = task;
    run_.begin(task);
  }
  void end(std::size_t task) override {
    run_.end(task);
    complete_(task);
  }
  bool failed(std::size_t task, std::exception_ptr error) override {
    return run_.failed(task, std::move(error));
  }

 private:
  TaskRun& run_;
  const Complete& complete_;
};

/// Ranges whose elements any thread may read in place: they are in memory, or are consecutive
/// numbers. All others are read by the thread that owns the loop, because reading them may run
/// arbitrary code.
template <class T>
inline constexpr bool is_iota = false;
template <class W, class B>
inline constexpr bool is_iota<std::ranges::iota_view<W, B>> = true;
template <class Range>
concept ReadInPlace =
    std::ranges::random_access_range<Range> && std::ranges::sized_range<Range> &&
    (std::ranges::contiguous_range<Range> || is_iota<std::remove_cvref_t<Range>> ||
     (std::is_lvalue_reference_v<std::ranges::range_reference_t<Range>> &&
      !std::ranges::view<std::remove_cvref_t<Range>>));

/// Likewise of ranges of tuples that are made of such ranges (hoist/zip.hpp), where only the
/// elements are passed on.
template <class Range>
inline constexpr bool tuples_in_place = false;
template <class Calls, class Range>
concept ReadsInPlace =
    ReadInPlace<Range> ||
    (passes_elements<std::remove_cvref_t<Calls>> && tuples_in_place<std::remove_cvref_t<Range>> &&
     std::ranges::random_access_range<Range> && std::ranges::sized_range<Range>);

/// Tasks whose items are read in place. `Iterator` is random access; `Store` keeps the results.
template <class Iterator, class Calls, class R, class Store = Results<R>>
class IndexedTasks final : public LoopTasks {
  using Reference = std::iter_reference_t<Iterator>;
  using Item = std::remove_cvref_t<Reference>;
  using Step = std::iter_difference_t<Iterator>;

 public:
  IndexedTasks(Iterator begin, Calls calls, Store store)
      : begin_(std::move(begin)), calls_(std::forward<Calls>(calls)), results(std::move(store)) {}

  std::size_t run(TaskRange tasks, TaskRun& run) override {
    // No task can change this copy, so it stays in a register.
    const Iterator begin = begin_;
    return run_tasks(tasks, run, [&](std::size_t i) {
      results.set(i, [&] { return call(begin, i, run.may_repeat); });
    });
  }
  bool read() override { return false; }
  void check_results() const override {
    check_result_travels<R>();
    check_writes_to_items<Calls, R, Item, Reference>();
  }
  void check_repeats() const override { check_repeats_of_items<Calls, Item, false, Reference>(); }
  void encode_result(std::size_t i, Encoder& to) override { results.encode(i, to); }
  void decode_result(std::size_t i, Decoder& from) override {
    results.set(i, [&] { return receive_result<R>(from); });
  }
  void discard_result(std::size_t i) override { results.discard(i); }
  PortableCode portable(std::size_t) const override {
    check_writes_to_items<Calls, R, Item, Reference>();
    return Calls::template portable<R>(std::type_identity<Item>{});
  }
  void encode_callable(Encoder& to) const override { calls_.encode_callable(to); }
  void encode_task(std::size_t i, Encoder& to) const override {
    calls_.encode_item(to, static_cast<const Item&>(begin_[static_cast<Step>(i)]));
  }

 private:
  auto call(const Iterator& begin, std::size_t i, bool again) {
    if constexpr (is_delayed<Item>) {
      auto&& item = begin[static_cast<Step>(i)];
      return calls_.call(item, again);
    } else if constexpr (std::is_lvalue_reference_v<Reference>) {
      return calls_.template call<false>(begin[static_cast<Step>(i)], again);
    } else {
      return calls_.template call<false>(Item(begin[static_cast<Step>(i)]), false);
    }
  }

  Iterator begin_;
  Calls calls_;

 public:
  Store results;
};

}  // namespace hoist::detail
