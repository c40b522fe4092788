// SPDX-License-Identifier: BSD-3-Clause
#include "backends/builtin.hpp"
#include "backends/process_session.hpp"
#include "os/cpu.hpp"
#include "workers/pool.hpp"

namespace hoist::detail::backends {

namespace {

/// The children of this process.
class Children final : public WorkerSource {
 public:
  std::shared_ptr<workers::WorkerProcess> lease(const WorkerOptions& options, unsigned threads,
                                                bool) override {
    return workers::WorkerPool::here().lease(options, threads);
  }
  void give_back(std::shared_ptr<workers::WorkerProcess> worker, const WorkerOptions& options,
                 unsigned threads, std::size_t keep) override {
    workers::WorkerPool::here().give_back(std::move(worker), options, threads, keep);
  }
  unsigned threads_each(unsigned workers) const override { return os::usable_cores_each(workers); }
  void wait(std::size_t bell, ipc::Clock::time_point deadline, const std::function<bool()>& ready,
            bool soon) override {
    ipc::BellBoard::here().bell(bell).wait(deadline, ready, soon);
  }
};

class SpawnBackend final : public Backend {
 public:
  BackendTraits traits() const override {
    BackendTraits traits;
    traits.shares_memory = false;
    traits.kills_tasks = true;
    traits.batch_seconds = 4e-3;
    return traits;
  }
  std::unique_ptr<Session> open(Loop& loop) override {
    // What it does at the end of the program comes after what the owner of this loop will do.
    workers::WorkerPool::here();
    return open_process_session(loop, children_);
  }

 private:
  Children children_;
};

}  // namespace

std::shared_ptr<Backend> make_spawn_backend() { return std::make_shared<SpawnBackend>(); }

}  // namespace hoist::detail::backends
