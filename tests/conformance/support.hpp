// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/backend.hpp>
#include <hoist/parallel.hpp>

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

/// All backends, including a user-defined one. Tests of behaviour that needs shared memory check
/// `shares_memory`.
inline const std::vector<std::string>& backends() {
  static const std::vector<std::string> all = [] {
    hoist::register_backend("one_by_one", [] { return std::make_shared<OneByOne>(); });
    return hoist::backend_names();
  }();
  return all;
}

inline bool shares_memory(const std::string& backend) {
  return hoist::find_backend(backend)->traits().shares_memory;
}

inline bool is_sequential(const std::string& backend) {
  return hoist::find_backend(backend)->traits().sequential || backend == "one_by_one";
}

}  // namespace conformance
