// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/loop_run.hpp>

#include <concepts>
#include <cstddef>
#include <iterator>
#include <ranges>
#include <type_traits>
#include <utility>

namespace hoist::detail {

/// Calls whose results are converted to R where they are made, so that only an R travels.
template <class Calls, class R>
struct ConvertedCalls : Calls {
  template <bool Held, class Item>
  R call(Item&& item, bool again) const {
    return static_cast<R>(Calls::template call<Held, Item>(std::forward<Item>(item), again));
  }
  template <class, class Item>
  static PortableCode portable(std::type_identity<Item> item) {
    using Plain = typename Calls::Plain;
    PortableCode code = Calls::template portable<TaskResult<const Plain, Item>>(item);
    code.run = run_item_as<R, Plain, Item>;
    return code;
  }
};

/// Where results can be written: many workers do so at once, each result its own element, so it is
/// no std::vector<bool>.
template <class Out>
concept OutputPlace = std::random_access_iterator<Out> &&
                      std::same_as<std::iter_reference_t<Out>, std::iter_value_t<Out>&>;

/// Runs a loop without results of its own.
inline void finish_loop(LoopDriver& driver) {
  if (!driver.run()) driver.fail({});
}

/// Runs a loop whose results, of type R, are written from `out` on. There is place for `room`, as
/// many as there must be; `unread`: for all.
template <class R, class Range, class Calls, class Out>
void run_loop_into(const ParallelOptions& options, Range& range, Calls calls, Out out,
                   std::size_t room) {
  if constexpr (std::ranges::sized_range<Range>) {
    const auto count = static_cast<std::size_t>(std::ranges::size(range));
    if (room != unread && room != count) throw_wrong_room(room, count);
  }
  using Placed = PlacedResults<R, Out>;
  if constexpr (ReadsInPlace<Calls, Range&>) {
    const auto count = static_cast<std::size_t>(std::ranges::size(range));
    IndexedTasks<std::ranges::iterator_t<Range>, Calls, R, Placed> tasks(
        std::ranges::begin(range), std::move(calls), Placed(std::move(out), room));
    LoopDriver driver(options, tasks, count, Deliver::all);
    finish_loop(driver);
  } else {
    ReadTasks<Range&, Calls, R, Placed> tasks(range, std::move(calls),
                                              Placed(std::move(out), room));
    LoopDriver driver(options, tasks, unread, Deliver::all);
    finish_loop(driver);
    if (room != unread && driver.tasks() != room) throw_wrong_room(room, driver.tasks());
  }
}

/// `Made`: what f returns.
template <class F, class Made, class Range, class Output>
void map_into_output(const ParallelOptions& options, Range& range, const F& calls,
                     Output&& output) {
  const auto run = [&]<class Out>(Out out, std::size_t room) {
    static_assert(OutputPlace<Out>,
                  "map_into: the output is no random access range or iterator to elements in "
                  "memory that can be written (and no std::vector<bool>, elements of which share "
                  "bytes)");
    if constexpr (OutputPlace<Out>) {
      using R = std::iter_value_t<Out>;
      constexpr bool fits =
          !std::is_void_v<Made> && std::is_convertible_v<Made, R> && std::is_move_assignable_v<R>;
      static_assert(fits, "map_into: what f returns does not convert to an element of the output");
      if constexpr (fits) {
        using Calls = std::conditional_t<std::is_same_v<Made, R>, F, ConvertedCalls<F, R>>;
        run_loop_into<R>(options, range, Calls{calls}, std::move(out), room);
      }
    }
  };
  if constexpr (std::ranges::random_access_range<Output> && std::ranges::sized_range<Output>) {
    run(std::ranges::begin(output), static_cast<std::size_t>(std::ranges::size(output)));
  } else {
    run(std::decay_t<Output>(std::forward<Output>(output)), unread);
  }
}

}  // namespace hoist::detail
