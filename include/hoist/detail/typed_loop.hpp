// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

namespace hoist::detail {

/// What the templates leave to the dispatcher: a context and how to run tasks [at, end) of it. On an
/// exception `at` is the index of the task that threw it.
struct LoopCall {
  void* context;
  void (*run)(void* context, std::size_t& at, std::size_t end);
  std::size_t size;
};

/// Makes a LoopCall of `task(i)`. The loop over a batch stands here, so that it is inlined.
template <class Task>
LoopCall loop_call(Task& task, std::size_t size) {
  return {&task,
          [](void* raw, std::size_t& at, std::size_t end) {
            Task& call = *static_cast<Task*>(raw);
            std::size_t i = at;
            try {
              for (; i < end; ++i) call(i);
            } catch (...) {
              at = i;
              throw;
            }
          },
          size};
}

/// A place for each task's result, filled in any order by any thread.
template <class R>
class Results {
 public:
  explicit Results(std::size_t n) : slots_(n) {}

  template <class Call>
  void put(std::size_t i, Call&& call) {
    if constexpr (direct) {
      slots_[i] = call();
    } else {
      slots_[i].emplace(call());
    }
  }

  std::vector<R> take() {
    if constexpr (direct) {
      return std::move(slots_);
    } else {
      std::vector<R> values;
      values.reserve(slots_.size());
      for (auto& slot : slots_) values.push_back(std::move(*slot));
      return values;
    }
  }

 private:
  // Neighbouring bits of a vector<bool> can't be written by two threads.
  static constexpr bool direct = std::is_default_constructible_v<R> && std::is_move_assignable_v<R> &&
                                 !std::is_same_v<R, bool>;
  std::vector<std::conditional_t<direct, R, std::optional<R>>> slots_;
};

/// Calls `use(first, size)` with a random-access iterator over a range's elements, which are stored
/// first where the range can't be indexed.
template <std::ranges::input_range Range, class Use>
decltype(auto) with_indexed(Range&& range, Use&& use) {
  if constexpr (std::ranges::random_access_range<Range> && std::ranges::sized_range<Range>) {
    return use(std::ranges::begin(range), static_cast<std::size_t>(std::ranges::size(range)));
  } else {
    std::vector<std::ranges::range_value_t<Range>> elements;
    for (auto&& element : range) elements.emplace_back(std::forward<decltype(element)>(element));
    return use(elements.begin(), elements.size());
  }
}

}  // namespace hoist::detail
