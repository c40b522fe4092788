// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "os/file.hpp"
#include "workers/output_writer.hpp"

namespace hoist::detail::workers {

/// The stdout or stderr of one worker: reads the pipe, passes whole lines on to the OutputWriter of
/// this process's stdout or stderr, and keeps the last ones. Thread-safe.
///
/// What is read and not written yet is limited. At the limit the pipe is left alone, so that a
/// worker that prints faster than its parent's output is read waits as it would for any reader; the
/// writer's thread reads on as it gets rid of the lines. Nothing is dropped.
class OutputLines : public std::enable_shared_from_this<OutputLines> {
 public:
  /// Takes whole lines, and calls `written` when they need no more memory here.
  using Put = std::function<void(std::string lines, std::function<void()> written)>;

  /// `from` is a non-blocking pipe, `to` STDOUT_FILENO or STDERR_FILENO, whose writer is made when
  /// there is something to write, and is used unless there is a `put`.
  OutputLines(os::Fd from, int to, std::string prefix, Put put = {})
      : from_(std::move(from)), to_(to), prefix_(std::move(prefix)), put_(std::move(put)) {}

  int fd() const { return from_.get(); }
  /// For poll(2): -1 while there is nothing for take() to do, at the limit and at the end.
  int watched_fd() const;
  /// Reads what is there, or as much as the limit admits; the writer's thread sees to the rest.
  /// Does not block, and returns soon also where the worker prints without end.
  void take();
  /// Likewise, but waits until all is read that was printed before the call, or until the deadline.
  void take_all(ipc::Clock::time_point deadline);
  /// Reads all that is there, over the limit too: of a worker that has ended.
  void take_rest();
  /// At the limit: the worker may be unable to go on until somebody reads this process's output.
  bool at_limit() const;
  std::string last_lines() const;

 private:
  std::size_t read_some();
  void take_locked();
  void line(std::string_view text);
  void put_lines();
  void written(std::size_t bytes);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  os::Fd from_;
  const int to_;
  std::string prefix_;
  const Put put_;
  std::string rest_;   // the beginning of a line
  std::string lines_;  // to be given to the writer
  std::deque<std::string> last_;
  std::uint64_t read_ = 0;     // bytes
  std::size_t unwritten_ = 0;  // bytes that the writer has
  bool at_limit_ = false;      // then the writer has some: written() will come, and read on
  bool ended_ = false;
};

}  // namespace hoist::detail::workers
