// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/pool.hpp>

#include <hoist/error.hpp>

#include "futures/loop_options.hpp"

namespace hoist {

namespace {

detail::ExecutorHandle make_pool(const PoolOptions& options, const char* threads) {
  if (options.processes && *options.processes < 1) {
    throw BadArgument("a pool of " + std::to_string(*options.processes) +
                      " workers: it must have at least 1");
  }
  return {detail::futures::loop_options({.max_workers = options.processes,
                                         .initializer = options.initializer,
                                         .max_tasks = options.max_tasks,
                                         .start_method = options.start_method,
                                         .env = options.env,
                                         .retries = options.retries,
                                         .task_timeout = options.task_timeout},
                                        threads),
          {.ends_with_program = true}};
}

}  // namespace

namespace detail {

void throw_not_ready() {
  throw BadArgument("AsyncResult::successful() was called before the result was ready");
}

}  // namespace detail

Pool::Pool(const PoolOptions& options) : handle_(make_pool(options, nullptr)) {}

Pool::~Pool() { handle_.kill("the pool's destructor"); }

void Pool::join() {
  if (!handle_.is_closed()) {
    throw BadArgument(
        "Pool::join() waits for the end of a pool: call close() or terminate() first");
  }
  handle_.join();
}

ThreadPool::ThreadPool(const PoolOptions& options) : Pool(make_pool(options, "a ThreadPool")) {}

}  // namespace hoist
