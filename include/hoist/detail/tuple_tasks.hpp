// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/loop_tasks.hpp>

#include <cstddef>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace hoist::detail {

/// A few delayed calls of different types, some of which may be const.
template <class... Calls>
class TupleTasks final : public LoopTasks {
 public:
  template <std::size_t I>
  using Call = std::remove_const_t<std::tuple_element_t<I, std::tuple<Calls...>>>;
  template <std::size_t I>
  using Result = std::decay_t<std::invoke_result_t<Call<I>&>>;

  explicit TupleTasks(std::tuple<Calls&...> calls) : calls_(calls) {}

  std::size_t run(TaskRange tasks, TaskRun& run) override {
    return run_tasks(tasks, run, [&](std::size_t i) {
      visit(i, [&]<std::size_t I>(Index<I>) {
        std::get<I>(results).emplace(kept_result<Result<I>>(
            [&] { return DelayedCalls::call(std::get<I>(calls_), run.may_repeat); }));
      });
    });
  }
  bool read() override { return false; }
  void check_results() const override {
    each([]<std::size_t I>(Index<I>) {
      check_result_travels<Result<I>>();
      DelayedCalls::check_writes<false>(std::type_identity<Call<I>>{});
    });
  }
  void check_repeats() const override {
    each([]<std::size_t I>(Index<I>) {
      DelayedCalls::check_repeats(std::type_identity<Call<I>>{});
    });
  }
  void encode_result(std::size_t i, Encoder& to) override {
    visit(i, [&]<std::size_t I>(Index<I>) { encode_kept<Result<I>>(to, *std::get<I>(results)); });
  }
  void decode_result(std::size_t i, Decoder& from) override {
    visit(i, [&]<std::size_t I>(Index<I>) {
      std::get<I>(results).emplace(decode_kept<Result<I>>(from));
    });
  }
  void discard_result(std::size_t i) override {
    visit(i, [&]<std::size_t I>(Index<I>) { std::get<I>(results).reset(); });
  }
  PortableCode portable(std::size_t i) const override {
    PortableCode code;
    visit(i, [&]<std::size_t I>(Index<I>) {
      code = DelayedCalls::portable<Result<I>>(std::type_identity<Call<I>>{});
    });
    return code;
  }
  void encode_callable(Encoder&) const override {}
  void encode_task(std::size_t i, Encoder& to) const override {
    visit(i, [&]<std::size_t I>(Index<I>) { DelayedCalls::encode_item(to, std::get<I>(calls_)); });
  }

 private:
  template <std::size_t I>
  using Index = std::integral_constant<std::size_t, I>;

  template <class Visitor>
  static void visit(std::size_t i, Visitor&& visitor) {
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      ((I == i ? visitor(Index<I>{}) : void()), ...);
    }(std::index_sequence_for<Calls...>{});
  }

  template <class Visitor>
  static void each(Visitor&& visitor) {
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (visitor(Index<I>{}), ...);
    }(std::index_sequence_for<Calls...>{});
  }

  std::tuple<Calls&...> calls_;

 public:
  std::tuple<
      std::optional<Kept<std::decay_t<std::invoke_result_t<std::remove_const_t<Calls>&>>>>...>
      results;
};

}  // namespace hoist::detail
