// SPDX-License-Identifier: BSD-3-Clause
#include "parallel/context.hpp"

#include <hoist/parallel_config.hpp>

#include <utility>

#include "parallel/settings.hpp"

namespace hoist {

namespace detail {

LoopContext& loop_context() noexcept {
  thread_local LoopContext context;
  return context;
}

ContextScope::ContextScope(const LoopContext& context)
    : before_(std::exchange(loop_context(), context)) {}

ContextScope::~ContextScope() { loop_context() = std::move(before_); }

}  // namespace detail

ParallelConfig::ParallelConfig(ParallelOptions options) : before_(detail::loop_context().config) {
  if (before_) detail::inherit(options, *before_);
  detail::check_options(options);
  detail::loop_context().config = std::make_shared<const ParallelOptions>(std::move(options));
}

ParallelConfig::~ParallelConfig() { detail::loop_context().config = std::move(before_); }

}  // namespace hoist
