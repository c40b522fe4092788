// SPDX-License-Identifier: BSD-3-Clause
#include "parallel/context.hpp"

#include <hoist/error.hpp>
#include <hoist/outcome.hpp>
#include <hoist/parallel_config.hpp>
#include <hoist/stop.hpp>

#include <string>
#include <utility>

#include <hoist/values.hpp>

#include "os/inner_threads.hpp"
#include "os/temp_file.hpp"
#include "parallel/settings.hpp"

namespace hoist {

namespace detail::parallel {

LoopContext& loop_context() noexcept {
  thread_local LoopContext context;
  return context;
}

void send_context(const TravellingContext& context, Encoder& to) {
  Form<TravellingContext>::traverse(to, context);
}

}  // namespace detail::parallel

namespace detail {

void throw_task_error(const std::exception_ptr& error, std::size_t task) {
  parallel::loop_context().thrown = {error, task};
  std::rethrow_exception(error);
}

void enter_context(Decoder& from) {
  parallel::TravellingContext received;
  Form<parallel::TravellingContext>::traverse(from, received);
  parallel::LoopContext context;
  context.level = received.level;
  context.jobs = received.jobs;
  if (received.n_jobs || !received.backend.empty()) {
    ParallelOptions defaults;
    defaults.n_jobs = received.n_jobs;
    defaults.backend = received.backend;
    context.config = std::make_shared<const ParallelOptions>(std::move(defaults));
  }
  if (received.log != 0) context.dependencies = std::make_shared<memory::DependencyLog>();
  parallel::set_context(std::move(context));
  // Libraries that read the environment have their limit from there; this is for the others.
  os::limit_inner_threads({received.inner_threads, false});
  os::set_temp_folder(received.temp_folder);
}

}  // namespace detail

namespace detail::parallel {

void set_context(LoopContext context) {
  memory::recording() = {context.dependencies.get(), true};
  loop_context() = std::move(context);
}

ContextScope::ContextScope(const LoopContext& context)
    : before_(loop_context()), recording_before_(memory::recording()) {
  set_context(context);
}

ContextScope::~ContextScope() {
  loop_context() = std::move(before_);
  memory::recording() = recording_before_;
}

}  // namespace detail::parallel

std::optional<std::size_t> task_index_of(const std::exception_ptr& error) noexcept {
  const detail::parallel::ThrownError& thrown = detail::parallel::loop_context().thrown;
  if (error == nullptr || thrown.error != error) return std::nullopt;
  return thrown.task;
}

bool stop_requested() noexcept {
  const detail::parallel::LoopContext& context = detail::parallel::loop_context();
  if (context.stop != nullptr && context.stop->requested()) return true;
  return context.clock != nullptr && Clock::now() >= context.clock->overdue_at();
}

namespace {

/// Throws for options that a ParallelConfig has no default for.
void refuse_own_options(const ParallelOptions& options) {
  const ParallelOptions plain;
  for (const auto& [name, is_set] :
       {std::pair("pre_dispatch", !options.pre_dispatch.is_automatic()),
        std::pair("batch_size", !options.batch_size.is_automatic()),
        std::pair("retries", options.retries != plain.retries),
        std::pair("on_error", options.on_error != plain.on_error),
        std::pair("on_lost_host", options.on_lost_host != plain.on_lost_host),
        std::pair("trace", !options.trace.empty()), std::pair("force_fork", options.force_fork),
        std::pair("workers", options.workers != plain.workers)}) {
    if (is_set) {
      throw BadArgument(std::string("ParallelConfig has no default for ") + name +
                        "; give it to each Parallel");
    }
  }
}

}  // namespace

ParallelConfig::ParallelConfig(ParallelOptions options)
    : before_(detail::parallel::loop_context().config) {
  refuse_own_options(options);
  if (before_) detail::parallel::inherit(options, *before_);
  detail::check_options(options);
  detail::parallel::loop_context().config =
      std::make_shared<const ParallelOptions>(std::move(options));
}

ParallelConfig::~ParallelConfig() { detail::parallel::loop_context().config = std::move(before_); }

}  // namespace hoist
