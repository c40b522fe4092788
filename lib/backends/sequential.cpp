// SPDX-License-Identifier: BSD-3-Clause
#include "backends/builtin.hpp"

namespace hoist::detail::backends {

namespace {

class SequentialSession final : public Session {
 public:
  explicit SequentialSession(Loop& loop) : loop_(loop) {}
  void wake(std::size_t) override {}
  void work(unsigned, Clock::time_point) override {
    TaskRange tasks;
    if (loop_.take(tasks, worker_)) loop_.run(tasks, worker_);
  }
  void stop() override {}

 private:
  Loop& loop_;
  Worker worker_;
};

class SequentialBackend final : public Backend {
 public:
  BackendTraits traits() const override { return {.sequential = true}; }
  std::unique_ptr<Session> open(Loop& loop) override {
    return std::make_unique<SequentialSession>(loop);
  }
};

}  // namespace

std::shared_ptr<Backend> make_sequential_backend() { return std::make_shared<SequentialBackend>(); }

}  // namespace hoist::detail::backends
