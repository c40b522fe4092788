// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/error.hpp>

#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <variant>
#include <vector>

namespace hoist {

/// What became of a task: its value or its error. `R` may be void.
template <class R>
class Outcome {
  using Held = std::conditional_t<std::is_void_v<R>, std::monostate, R>;

 public:
  Outcome(std::optional<Held> value, std::exception_ptr error, std::size_t index, unsigned attempts,
          double seconds)
      : value_(std::move(value)),
        error_(std::move(error)),
        index_(index),
        attempts_(attempts),
        seconds_(seconds) {}

  bool has_value() const noexcept { return value_.has_value(); }
  explicit operator bool() const noexcept { return has_value(); }

  /// The value; throws the task's error where there is none.
  decltype(auto) value() & { return get(*this); }
  decltype(auto) value() const& { return get(*this); }
  decltype(auto) value() && { return get(std::move(*this)); }

  /// Null where there is a value.
  std::exception_ptr error() const noexcept { return error_; }
  /// The task's place in the loop.
  std::size_t index() const noexcept { return index_; }
  /// How often it was run: 0 where the loop ended before it was begun.
  unsigned attempts() const noexcept { return attempts_; }
  /// How long the last run took.
  double seconds() const noexcept { return seconds_; }

 private:
  template <class Self>
  static decltype(auto) get(Self&& self) {
    if (!self.value_) std::rethrow_exception(self.error_);
    if constexpr (!std::is_void_v<R>) return *(std::forward<Self>(self).value_);
  }

  std::optional<Held> value_;
  std::exception_ptr error_;
  std::size_t index_;
  unsigned attempts_;
  double seconds_;
};

/// One failure among those of a loop.
struct TaskFailure {
  std::size_t index = 0;
  unsigned attempts = 0;
  std::exception_ptr error;
};

/// What a loop with OnError::finish throws when tasks failed: all failures, in the order of tasks,
/// and what the others gave.
class LoopErrors : public Error {
 public:
  LoopErrors(std::vector<TaskFailure> failures, std::size_t tasks);

  const std::vector<TaskFailure>& failures() const noexcept { return *failures_; }

  /// The results in the order of tasks, empty where a task failed. `R` must be the loop's result
  /// type; BadArgument otherwise, and for a loop without results.
  template <class R>
  const std::vector<std::optional<R>>& results() const {
    if (!results_ || *type_ != typeid(R)) throw_wrong_type(typeid(R));
    return *static_cast<const std::vector<std::optional<R>>*>(results_.get());
  }

  /// For Parallel.
  template <class R>
  void set_results(std::vector<std::optional<R>> results) {
    results_ = std::make_shared<std::vector<std::optional<R>>>(std::move(results));
    type_ = &typeid(R);
  }

 private:
  [[noreturn]] void throw_wrong_type(const std::type_info& wanted) const;

  std::shared_ptr<const std::vector<TaskFailure>> failures_;
  std::shared_ptr<const void> results_;
  const std::type_info* type_ = nullptr;
};

}  // namespace hoist
