// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/error.hpp>

#include <cassert>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace hoist {

namespace detail {
/// What an exception says: its `what()`, the text if a text was thrown, otherwise "an exception of
/// type T". Empty for a null pointer.
std::string error_text(const std::exception_ptr& error);
/// Throws the exception of a task, whose index task_index_of() then tells.
[[noreturn]] void throw_task_error(const std::exception_ptr& error, std::size_t task);
}  // namespace detail

/// The index of the task that threw `error`, provided that `error` is the task exception that a
/// loop or Outcome::value() has thrown last in the calling thread. Nothing otherwise, for instance
/// for what a loop throws by itself.
///
///     try {
///       Parallel().for_each(range, f);
///     } catch (const std::exception& error) {
///       std::cerr << "task " << task_index_of().value_or(0) << ": " << error.what() << '\n';
///     }
///
/// To be asked in the catch block, before it runs other loops. Of several loops around one another
/// it tells the index in the outermost. Works for exceptions of any type, on all backends: the
/// index belongs to the throw and not to the exception object, which several tasks may share.
std::optional<std::size_t> task_index_of(
    const std::exception_ptr& error = std::current_exception()) noexcept;

/// What became of one task: its value or its error. It is used like a std::expected whose error is
/// an exception:
///
///     if (outcome) use(*outcome); else std::cerr << outcome.message() << '\n';
///
/// `R` is the task's result type and may be void. Made by Parallel::outcomes and
/// Parallel::map_outcomes, one per task in the order of the input. A plain value; const functions
/// may be called from several threads.
template <class R>
class [[nodiscard]] Outcome {
  using Held = std::conditional_t<std::is_void_v<R>, std::monostate, R>;

 public:
  using value_type = R;  ///< as std::expected names them
  using error_type = std::exception_ptr;

  /// For Parallel, which makes outcomes.
  Outcome(std::optional<Held> value, std::exception_ptr error, std::size_t index, unsigned attempts,
          double seconds)
      : value_(std::move(value)),
        error_(std::move(error)),
        index_(index),
        attempts_(attempts),
        seconds_(seconds) {}

  /// True if the task returned; false if it threw, timed out, or its worker died.
  [[nodiscard]] bool has_value() const noexcept { return value_.has_value(); }
  explicit operator bool() const noexcept { return has_value(); }

  /// The value. Throws the task's error if there is none.
  decltype(auto) value() & { return get(*this); }
  decltype(auto) value() const& { return get(*this); }
  decltype(auto) value() && { return get(std::move(*this)); }

  /// The value, or `otherwise`, converted to R, if there is none.
  template <class Other = R>
    requires(std::is_convertible_v<Other, Held> && !std::is_void_v<R>)
  [[nodiscard]] Held value_or(Other&& otherwise) const& {
    return value_ ? *value_ : static_cast<Held>(std::forward<Other>(otherwise));
  }
  template <class Other = R>
    requires(std::is_convertible_v<Other, Held> && !std::is_void_v<R>)
  [[nodiscard]] Held value_or(Other&& otherwise) && {
    return value_ ? *std::move(value_) : static_cast<Held>(std::forward<Other>(otherwise));
  }

  /// The value, which must be there: undefined behaviour otherwise, an assertion in debug builds.
  decltype(auto) operator*() & noexcept { return held(*this); }
  decltype(auto) operator*() const& noexcept { return held(*this); }
  decltype(auto) operator*() && noexcept { return held(std::move(*this)); }
  /// A member of the value, under the same condition.
  Held* operator->() noexcept
    requires(!std::is_void_v<R>)
  {
    return std::addressof(held(*this));
  }
  const Held* operator->() const noexcept
    requires(!std::is_void_v<R>)
  {
    return std::addressof(held(*this));
  }

  /// The task's error; null if there is a value.
  [[nodiscard]] std::exception_ptr error() const noexcept { return error_; }
  /// What the error says: `what()` or the text that was thrown, otherwise "an exception of type T".
  /// Empty if there is a value.
  [[nodiscard]] std::string message() const { return detail::error_text(error_); }
  /// The task's index in the loop.
  std::size_t index() const noexcept { return index_; }
  /// How often the task was started: once, or more often with `ParallelOptions::retries`.
  unsigned attempts() const noexcept { return attempts_; }
  /// How long the last attempt took, in seconds.
  double seconds() const noexcept { return seconds_; }

 private:
  /// Serve the overloads of `value()` and `operator*`.
  template <class Self>
  static decltype(auto) get(Self&& self) {
    if (!self.value_) detail::throw_task_error(self.error_, self.index_);
    return held(std::forward<Self>(self));
  }
  template <class Self>
  static decltype(auto) held(Self&& self) noexcept {
    assert(self.value_.has_value() && "the task has failed: look at error() or message()");
    if constexpr (!std::is_void_v<R>) return *(std::forward<Self>(self).value_);
  }

  std::optional<Held> value_;
  std::exception_ptr error_;
  std::size_t index_;
  unsigned attempts_;
  double seconds_;
};

/// One failed task of a loop: its index, how often it was started, and the error of the last
/// attempt.
struct TaskFailure {
  std::size_t index = 0;
  unsigned attempts = 0;
  std::exception_ptr error;

  /// What the error says, as Outcome::message().
  [[nodiscard]] std::string message() const { return detail::error_text(error); }
};

/// Thrown at the end of a loop with OnError::finish if tasks failed. Holds all failures, and the
/// results of the other tasks. Copies share both.
class LoopErrors : public Error {
 public:
  /// For Parallel: `failures` in the order of tasks, `tasks` the number of all tasks.
  LoopErrors(std::vector<TaskFailure> failures, std::size_t tasks);

  /// The failures in the order of tasks; not empty.
  [[nodiscard]] const std::vector<TaskFailure>& failures() const noexcept { return *failures_; }

  /// The results in the order of tasks, empty for tasks that failed. `R` must be the loop's result
  /// type. Throws BadArgument for another type, and for a loop without results.
  template <class R>
  const std::vector<std::optional<R>>& results() const {
    return results_.get<R>("LoopErrors");
  }

  /// For Parallel.
  void set_results(detail::CarriedResults results) { results_ = std::move(results); }

 private:
  std::shared_ptr<const std::vector<TaskFailure>> failures_;
  detail::CarriedResults results_;
};

}  // namespace hoist
