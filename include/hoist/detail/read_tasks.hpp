// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/derived.hpp>
#include <hoist/detail/loop_tasks.hpp>

#include <cstddef>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <ranges>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <variant>

namespace hoist::detail {

/// Tasks whose items are read one by one and kept until their results are taken. Of forward ranges
/// in memory only the addresses of the items are kept.
/// `Placed` says where results go that aren't kept here (PlacedResults).
template <class Range, class Calls, class R, class Placed = void>
class ReadTasks final : public LoopTasks {
  using Reference = std::ranges::range_reference_t<Range>;
  static constexpr bool in_place =
      std::is_lvalue_reference_v<Reference> && std::ranges::forward_range<Range>;
  // Tuples of references are as good as addresses.
  static constexpr bool refers = passes_elements<Calls> && std::ranges::forward_range<Range>;
  using Item = std::conditional_t<in_place || refers, std::remove_cvref_t<Reference>,
                                  std::ranges::range_value_t<Range>>;
  using Held = std::conditional_t<in_place, std::remove_reference_t<Reference>*, Item>;
  using Given = std::conditional_t<in_place, Reference, Held&>;  // to the call
  static constexpr bool placed = !std::is_void_v<Placed>;
  using Out = std::conditional_t<placed, Placed, std::monostate>;
  struct Cell {
    std::optional<Held> item;
    std::optional<Kept<R>> result;
    bool taken = false;
  };

 public:
  ReadTasks(Range range, Calls calls, Out out = {})
      : range_(std::forward<Range>(range)),
        calls_(std::forward<Calls>(calls)),
        out_(std::move(out)) {}

  std::size_t run(TaskRange tasks, TaskRun& run) override {
    // run.end() may yet fail a task that is done (it took too long, or its result can't be sent),
    // which is then made again with this item.
    const bool again = run.may_repeat && run.each;
    const auto make = [&](std::size_t i) {
      Cell& c = cell(i);
      keep(i, c, [&] { return call(c, run.may_repeat); }, again);
    };
    if constexpr (placed) {
      if (again) {
        const auto complete = [&](std::size_t i) { forget(cell(i)); };
        CompletingRun completing(run, complete);
        return run_tasks(tasks, completing, make);
      }
    }
    return run_tasks(tasks, run, make);
  }
  bool read() override {
    if (!at_) {
      at_.emplace(std::ranges::begin(range_));
    } else {
      ++*at_;
    }
    if (*at_ == std::ranges::end(range_)) return false;
    if constexpr (placed) {
      const std::lock_guard lock(mutex_);
      out_.check_room(first_ + cells_.size());
    }
    // Without the lock, for which tasks that begin would wait: it may be the user's code that makes
    // the item.
    Reference item = **at_;
    if constexpr (!in_place && std::is_same_v<std::remove_cvref_t<Reference>, Item>) {
      check_whole<Item>(item);
    }
    const std::lock_guard lock(mutex_);
    Cell& c = cells_.emplace_back();
    if constexpr (in_place) {
      c.item.emplace(std::addressof(item));
    } else {
      c.item.emplace(std::forward<Reference>(item));
    }
    return true;
  }
  /// Where results are kept here, whoever takes or discards them forgets the task.
  void failed(std::size_t i, const std::exception_ptr&) override {
    if constexpr (placed) forget(cell(i));
  }
  void check_results() const override {
    check_result_travels<R>();
    check_writes_to_items<Calls, R, Item, Reference>();
  }
  void check_repeats() const override { check_repeats_of_items<Calls, Item, !in_place, Given>(); }
  void encode_result(std::size_t i, Encoder& to) override {
    if constexpr (placed) {
      out_.encode(i, to);
    } else {
      encode_kept<R>(to, *cell(i).result);
    }
  }
  void decode_result(std::size_t i, Decoder& from) override {
    keep(i, cell(i), [&] { return receive_result<R>(from); });
  }
  void discard_result(std::size_t i) override {
    if constexpr (placed) return;
    const std::lock_guard lock(mutex_);
    Cell& c = cells_[i - first_];
    c.item.reset();
    c.result.reset();
    c.taken = true;
    drop_front();
  }
  PortableCode portable(std::size_t) const override {
    check_writes_to_items<Calls, R, Item, Reference>();
    return Calls::template portable<R>(std::type_identity<Item>{});
  }
  void encode_callable(Encoder& to) const override { calls_.encode_callable(to); }
  void encode_task(std::size_t i, Encoder& to) const override {
    const Held& held = *cell(i).item;
    if constexpr (in_place) {
      calls_.encode_item(to, static_cast<const Item&>(*held));
    } else {
      calls_.encode_item(to, held);
    }
  }

  /// Moves a result out. Frees the cells up to the first result that has not been taken.
  Kept<R> take(std::size_t i) {
    const std::lock_guard lock(mutex_);
    Cell& c = cells_[i - first_];
    Kept<R> result = std::move(*c.result);
    c.item.reset();
    c.result.reset();
    c.taken = true;
    drop_front();
    return result;
  }

 private:
  Cell& cell(std::size_t i) const {
    const std::lock_guard lock(mutex_);
    return cells_[i - first_];
  }
  /// Makes and keeps a result. The arguments are destroyed as soon as they are no longer needed:
  /// with `again`, not before the task is over, or its result is taken.
  template <class Make>
  void keep(std::size_t i, Cell& c, Make&& make, bool again = false) {
    if constexpr (placed) {
      out_.set(i, make);
    } else {
      c.result.emplace(kept_result<R>(make));
    }
    if (!again) forget(c);
  }
  /// The task is over: destroys its arguments, and the cell unless that has the result.
  void forget(Cell& c) {
    c.item.reset();
    if constexpr (placed) {
      const std::lock_guard lock(mutex_);
      c.taken = true;
      drop_front();
    }
  }
  auto call(Cell& c, bool again) {
    Given item = [&]() -> Given {
      if constexpr (in_place) {
        return **c.item;
      } else {
        return *c.item;
      }
    }();
    if constexpr (is_delayed<Item>) {
      return calls_.call(item, again);
    } else {
      return calls_.template call<!in_place, Given>(item, again);
    }
  }
  void drop_front() {
    for (; !cells_.empty() && cells_.front().taken; ++first_) cells_.pop_front();
  }

  Range range_;
  Calls calls_;
  [[no_unique_address]] Out out_;
  std::optional<std::ranges::iterator_t<Range>> at_;
  mutable std::mutex mutex_;
  mutable std::deque<Cell> cells_;
  std::size_t first_ = 0;  // index of the task in cells_.front()
};

}  // namespace hoist::detail
