// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace hoist {

/// Tasks [begin, end) of a loop.
struct Batch {
  std::size_t begin = 0;
  std::size_t end = 0;
};

/// A loop as a backend sees it: it gives out batches and runs them. All behaviour (order, sizes,
/// errors, cancellation) is on this side; a backend only decides where batches run.
class Loop {
 public:
  /// What the loop remembers of one worker, to size its batches. One a worker, not shared.
  struct Worker {
    std::size_t batch_size = 1;
    std::chrono::steady_clock::time_point started{};
  };

  virtual ~Loop();
  /// The next batch for a worker that is done with its last one; nothing when all are given out or
  /// the loop has been stopped by an error. Thread-safe.
  virtual std::optional<Batch> next(Worker& worker) = 0;
  /// Runs a batch in this process and keeps its results. Never throws: a task's exception stops the
  /// loop. Thread-safe for distinct batches.
  virtual void run(Batch batch) noexcept = 0;
};

/// Where the tasks of loops run. One object may serve several loops at once.
class Backend {
 public:
  virtual ~Backend();
  /// Takes batches from `loop` on at most `n_jobs` (>= 1) workers until there are none; returns when
  /// nothing of the loop runs any more. Throws only where it can't run the loop at all.
  virtual void run(Loop& loop, int n_jobs) = 0;
};

/// Makes `factory` callable by name in ParallelOptions::backend. The factory is called once, at the
/// first use. Throws BadArgument for an empty name or one that is taken. Thread-safe.
void register_backend(std::string name, std::function<std::unique_ptr<Backend>()> factory);

namespace detail {
/// The backend of that name; BadArgument listing the known ones if there is none.
Backend& find_backend(std::string_view name);
}  // namespace detail

}  // namespace hoist
