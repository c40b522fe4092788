// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <type_traits>
#include <typeinfo>
#include <vector>

namespace hoist {

namespace detail {

class Decoder;
class Storage;
struct Encoded;

/// What a worker's initializer returned.
struct WorkerState {
  std::shared_ptr<void> object;
  const std::type_info* type = nullptr;
};

/// Decodes an initializer's arguments, calls it, and keeps its result in `state`.
using Initialize = void (*)(Decoder& from, WorkerState& state);

}  // namespace detail

/// A call that each worker makes once, before its first task, on every backend: threads make it
/// once a thread and loop. The return value is the worker's state: tasks get it by
/// `worker_state<T>()`, and it is destroyed when the worker ends. What the call throws is the error
/// of the task that the worker was to run; the next task tries again. Usually made implicitly:
/// `.initializer = load_model` or `.initializer = {load_table, 10}`.
class WorkerInitializer {
 public:
  WorkerInitializer() = default;

  /// The call `f(args...)`. Throws CannotTravel if the function or an argument can't be sent to
  /// another process. Defined in hoist/worker.hpp.
  template <class F, class... Args>
    requires(!std::same_as<std::decay_t<F>, WorkerInitializer>)
  WorkerInitializer(F&& f, Args&&... args);  // implicit: `.initializer = load_model`

  /// False if there is no call to make.
  explicit operator bool() const noexcept { return run_ != nullptr; }
  /// True if function and arguments are equal, so that workers can be shared.
  friend bool operator==(const WorkerInitializer& a, const WorkerInitializer& b) noexcept {
    return a.run_ == b.run_ && a.value_ == b.value_ && a.memory_ == b.memory_;
  }

  /// For backends: the function, and its arguments in encoded form.
  detail::Initialize run() const noexcept { return run_; }
  const std::vector<std::byte>& value() const noexcept { return value_; }
  /// The memory that handles among the arguments lead to (hoist/shared.hpp): its numbers in
  /// value(), from 1 on.
  const std::vector<std::shared_ptr<detail::Storage>>& memory() const noexcept { return memory_; }

 private:
  void keep(const detail::Encoded& encoded, detail::Initialize initialize);

  std::vector<std::byte> value_;
  std::vector<std::shared_ptr<detail::Storage>> memory_;
  detail::Initialize run_ = nullptr;
};

/// Properties of worker processes. Loops with equal options share workers.
struct WorkerOptions {
  /// Runs once in each worker before its first task.
  WorkerInitializer initializer = {};
  /// Environment variables set in the workers, in addition to those of this process.
  std::map<std::string, std::string> env = {};
  /// A worker exits after this many tasks and is replaced; 0: never. For tasks that leak memory.
  std::size_t max_tasks = 0;
  /// A worker exits and is replaced if its resident memory (bytes) exceeds this after a task; 0: no
  /// limit.
  std::size_t rss_limit = 0;
  /// A worker exits after this long without a task.
  std::chrono::milliseconds idle_timeout = std::chrono::minutes(5);
  /// Prefixes each line that a worker prints with "[pid] ".
  bool prefix_output = false;

  /// Loops with equal options share workers.
  friend bool operator==(const WorkerOptions&, const WorkerOptions&) = default;
};

}  // namespace hoist
