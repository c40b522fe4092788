// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/loop_tasks.hpp>

#include <cstddef>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace hoist::detail {

/// A few delayed calls of different types.
template <class... Calls>
class TupleTasks final : public LoopTasks {
 public:
  template <std::size_t I>
  using Result = std::decay_t<std::invoke_result_t<std::tuple_element_t<I, std::tuple<Calls...>>&>>;

  explicit TupleTasks(std::tuple<Calls&...> calls) : calls_(calls) {}

  std::size_t run(TaskRange tasks, TaskRun& run) override {
    return run_tasks(tasks, run, [&](std::size_t i) {
      visit(i, [&]<std::size_t I>(Index<I>) {
        std::get<I>(results).emplace(kept_result<Result<I>>(
            [&]() -> decltype(auto) { return DelayedCalls::call(std::get<I>(calls_)); }));
      });
    });
  }
  bool read() override { return false; }
  void check_results() const override {
    (check_result_travels<std::decay_t<std::invoke_result_t<Calls&>>>(), ...);
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
      code = DelayedCalls::portable<Result<I>>(
          std::type_identity<std::tuple_element_t<I, std::tuple<Calls...>>>{});
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

  std::tuple<Calls&...> calls_;

 public:
  std::tuple<std::optional<Kept<std::decay_t<std::invoke_result_t<Calls&>>>>...> results;
};

}  // namespace hoist::detail
