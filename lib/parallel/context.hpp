// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/parallel_options.hpp>

#include <memory>

namespace hoist::detail {

/// Where in a nest of loops a thread is, and the defaults that hold there.
struct LoopContext {
  /// 0 outside all loops.
  unsigned level = 0;
  /// Workers of the loops around, multiplied.
  unsigned jobs = 1;
  std::shared_ptr<const ParallelOptions> config;
};

LoopContext& loop_context() noexcept;

/// Puts this thread into another context for a scope.
class ContextScope {
 public:
  explicit ContextScope(const LoopContext& context);
  ~ContextScope();
  ContextScope(const ContextScope&) = delete;
  ContextScope& operator=(const ContextScope&) = delete;

 private:
  LoopContext before_;
};

}  // namespace hoist::detail
