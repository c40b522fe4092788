// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/backend.hpp>
#include <hoist/parallel.hpp>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace conformance {

/// A minimal user-defined backend, which runs tasks in the caller.
class OneByOne final : public hoist::Backend {
  class OneSession final : public hoist::Session {
   public:
    explicit OneSession(hoist::Loop& loop) : loop_(loop) {}
    void wake(std::size_t) override {}
    void work(unsigned, hoist::Clock::time_point) override {
      hoist::TaskRange tasks;
      if (!loop_.take(tasks, worker_)) return;
      loop_.run({tasks.first, tasks.first + 1}, worker_);
      loop_.give_back({tasks.first + 1, tasks.last});
    }
    void stop() override {}

   private:
    hoist::Loop& loop_;
    hoist::Worker worker_;
  };

 public:
  hoist::BackendTraits traits() const override { return {}; }
  std::unique_ptr<hoist::Session> open(hoist::Loop& loop) override {
    return std::make_unique<OneSession>(loop);
  }
};

/// A backend on worker hosts that are threads of this process; their workers are spawned as those
/// of any host.
std::shared_ptr<hoist::Backend> loopback_backend();

/// The backend that the suite is run on alone, beside all that are in this process; null if none.
inline const char* only_backend() { return std::getenv("HOIST_TEST_BACKEND"); }

/// All backends, including a user-defined one. Tests of behaviour that needs shared memory check
/// `shares_memory`.
inline const std::vector<std::string>& backends() {
  static const std::vector<std::string> all = [] {
    hoist::register_backend("one_by_one", [] { return std::make_shared<OneByOne>(); });
    if (const char* const only = only_backend()) {
      if (std::string(only) == "loopback") {
        hoist::register_backend(only, loopback_backend);
      }
      return std::vector{std::string(only)};
    }
    return hoist::backend_names();
  }();
  return all;
}

inline bool shares_memory(const std::string& backend) {
  return hoist::find_backend(backend)->traits().shares_memory;
}

/// Whether workers may be on other machines, where no memory of this one is.
inline bool is_remote(const std::string& backend) {
  return backend == "mpi" || backend == "redis" || backend == "slurm" || backend == "loopback";
}

inline bool is_sequential(const std::string& backend) {
  return hoist::find_backend(backend)->traits().sequential || backend == "one_by_one";
}

}  // namespace conformance
