// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/encoder.hpp>
#include <hoist/worker.hpp>

#include <memory>
#include <vector>

#include "ipc/channel.hpp"

namespace hoist::detail::workers {

/// What an initializer makes for one worker that runs in this process.
class OwnState {
 public:
  /// Made by the first call; null if there is no initializer. Throws what the initializer throws,
  /// and tries again the next time.
  WorkerState* get(const WorkerInitializer& initializer);

 private:
  WorkerState state_;
  bool made_ = false;  // an initializer may return nothing
};

/// Writes an initializer's arguments: copies, but for handles (hoist/shared.hpp). Returns the
/// memory that these lead to, in the order of its numbers.
std::vector<std::shared_ptr<Storage>> write_arguments(ipc::FieldWriter& to, const Encoded& encoded);

/// Makes `state` that of the calling thread's tasks, until the end of the scope. Null: that of the
/// process.
class WorkerStateScope {
 public:
  explicit WorkerStateScope(WorkerState* state) noexcept;
  ~WorkerStateScope();
  WorkerStateScope(const WorkerStateScope&) = delete;
  WorkerStateScope& operator=(const WorkerStateScope&) = delete;

 private:
  WorkerState* const before_;
};

}  // namespace hoist::detail::workers
