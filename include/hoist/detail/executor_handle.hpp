// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/delayed.hpp>
#include <hoist/detail/submission.hpp>
#include <hoist/future.hpp>
#include <hoist/parallel_options.hpp>

#include <memory>
#include <type_traits>
#include <utility>

namespace hoist::detail {

namespace futures {
struct ExecutorState;
}

/// What an executor consists of, shared by those who submit to it. Thread-safe.
class ExecutorHandle {
 public:
  /// How it treats calls that it can't finish.
  struct Manners {
    bool kill_on_cancel = false;
    bool ends_with_program = false;
  };
  ExecutorHandle(const ParallelOptions& options, Manners manners);

  template <class F, class... Args>
  Future<DelayedCalls::ResultOf<Delayed<F, Args...>>> submit_call(Delayed<F, Args...> call) const {
    using Submitted = SubmittedCall<Delayed<F, Args...>>;
    using R = typename Submitted::Result;
    auto* const submitted = new Submitted(std::move(call));
    StatePointer<FutureValue<R>> future(submitted);
    take(*submitted);
    return Future<R>(std::move(future));
  }
  template <class F, class... Args>
  auto submit(F&& f, Args&&... args) const {
    return submit_call(delayed(std::forward<F>(f))(std::forward<Args>(args)...));
  }

  unsigned workers() const;
  void shut_down(bool wait, bool cancel) const;
  void kill(const char* how) const;
  /// Waits until it is over, after shut_down() or kill().
  void join() const;
  bool is_closed() const;
  /// Whether this thread runs one of its calls.
  bool runs_here() const;
  /// Goes on with other options: what was submitted before is finished beside it.
  void replace(const ParallelOptions& options, Manners manners) const;

 private:
  void take(Submission& call) const;

  std::shared_ptr<futures::ExecutorState> state_;
};

}  // namespace hoist::detail
