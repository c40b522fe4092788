// SPDX-License-Identifier: BSD-3-Clause
#include "backends/builtin.hpp"
#include "base/thread_pool.hpp"

namespace hoist::detail {

namespace {

void work_on(Loop& loop) {
  Loop::Worker worker;
  while (const auto batch = loop.next(worker)) loop.run(*batch);
}

class Sequential final : public Backend {
 public:
  void run(Loop& loop, int) override { work_on(loop); }
};

class Threads final : public Backend {
 public:
  void run(Loop& loop, int n_jobs) override {
    ThreadPool::instance().run(static_cast<unsigned>(n_jobs - 1), [&] { work_on(loop); });
  }
};

}  // namespace

std::unique_ptr<Backend> make_sequential_backend() { return std::make_unique<Sequential>(); }
std::unique_ptr<Backend> make_threads_backend() { return std::make_unique<Threads>(); }

}  // namespace hoist::detail
