// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/detail/async.hpp>
#include <hoist/detail/deadline.hpp>
#include <hoist/detail/process_work.hpp>
#include <hoist/error.hpp>
#include <hoist/start_method.hpp>

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

// A function in a process of its own, after Python's multiprocessing.Process.
//
//     Process copy(copy_files, from, to);
//     copy.start();
//     copy.join();
//     if (copy.exitcode() != 0) ...
//
// A child has /dev/null as stdin and writes to this process's stdout and stderr. When its function
// returns, it waits for its own children, writes out its streams and ends; static objects of the
// program are not destroyed in it. An uncaught exception is written to stderr, with its type and
// stack. Signal handlers of the program are not in effect in a child, ignored signals are ignored.
//
// All functions may be called from several threads at a time, also for one process. A process is
// its parent's: elsewhere, functions that would wait for it or signal it throw BadArgument.
//
// Pass what parent and child share (queues, locks, ...) as arguments: a handle in a global variable
// is another one in a spawned child, and captures of handles do not travel.

namespace hoist {

/// Options of a Process.
struct ProcessOptions {
  /// For messages. By default "Process-1", "Process-2"; in such a process "Process-1:1".
  std::string name = {};
  /// It is not waited for: it is terminated when this process ends, or the object is destroyed, and
  /// ends at once should this process be killed. It may have no children.
  bool daemon = false;
  /// By default that of set_start_method().
  std::optional<StartMethod> start_method = {};
  /// Environment variables in addition to this process's.
  std::map<std::string, std::string> env = {};
  /// With StartMethod::fork: also while other threads run. The function must then do only what is
  /// safe without what they hold.
  bool force_fork = false;
};

namespace detail::processes {
class Peer;
}  // namespace detail::processes

/// A process as another one sees it; a copy is the same process. It may have ended. A forked child
/// can't watch or end those that its parent has started: what would do so throws BadArgument.
class ProcessInfo {
 public:
  const std::string& name() const noexcept;
  int pid() const noexcept;
  bool daemon() const noexcept;
  bool is_alive() const;
  /// Waits until it has ended. Throws BadArgument in the process itself.
  void join() const;
  /// Likewise, but no longer than that. Returns whether it has ended.
  template <class Rep, class Period>
  bool join(std::chrono::duration<Rep, Period> timeout) const {
    return wait(detail::deadline_after(timeout));
  }
  /// As Process::exitcode; nothing for processes that are no children of this one.
  std::optional<int> exitcode() const;
  void terminate() const;
  void kill() const;
  /// As Process::sentinel. Closed with the last copy.
  int sentinel() const;

  /// For hoist, which finds processes.
  explicit ProcessInfo(std::shared_ptr<detail::processes::Peer> peer) : peer_(std::move(peer)) {}

 private:
  bool wait(std::chrono::steady_clock::time_point deadline) const;
  std::shared_ptr<detail::processes::Peer> peer_;
};

/// What Process and the classes derived from ProcessBase have in common. Its state is kept
/// elsewhere, so that it adds no member to those. Destroying one that was started waits for the
/// child, also during an exception, and terminates a daemon (after a second by SIGKILL).
class ProcessHandle {
 public:
  ProcessHandle() noexcept = default;
  ProcessHandle(ProcessHandle&& other) noexcept;
  ProcessHandle& operator=(ProcessHandle&& other) noexcept;
  ~ProcessHandle();

  /// Options for start(), after which that is a BadArgument.
  void set_options(ProcessOptions options);

  /// Waits until the process has ended. Throws BadArgument before start(), and in the process
  /// itself.
  void join() const;
  /// Likewise, but no longer than that. Returns whether it has ended.
  template <class Rep, class Period>
  bool join(std::chrono::duration<Rep, Period> timeout) const {
    return wait(detail::deadline_after(timeout));
  }
  /// As join(), for coroutines and other completion tokens: see hoist/asio.hpp. The object must
  /// not be moved or destroyed before the operation has begun.
  template <class Token = detail::DefaultToken>
  auto async_join(Token&& token = {}) const {
    return detail::async<Token>().join(*this, token);
  }
  /// Nothing before its end, so compare it with 0. Then what it gave exit(): 0 if its function
  /// returned, 1 if that threw; or minus the number of the signal that ended it. 255 if nobody can
  /// tell, because something else collected the child, or the fork server was killed.
  [[nodiscard]] std::optional<int> exitcode() const;
  [[nodiscard]] bool is_alive() const;
  /// 0 before start().
  [[nodiscard]] int pid() const;
  [[nodiscard]] std::string name() const;
  [[nodiscard]] bool daemon() const;
  /// Sends SIGTERM or SIGKILL to the process, not to what it has started. Does nothing after its
  /// end.
  void terminate() const;
  void kill() const;
  /// Releases what this process has of it. Throws BadArgument while it runs; afterwards every
  /// function does.
  void close();
  /// A descriptor that is readable, for poll(2), once the process has ended. It stays ours.
  [[nodiscard]] int sentinel() const;

 protected:
  /// What a start() without `work` of its own does.
  void keep(std::unique_ptr<detail::ProcessWork> work, ProcessOptions options);
  void start(detail::ProcessWork* work);

 private:
  bool wait(std::chrono::steady_clock::time_point deadline) const;
};

/// A function call in a process of its own.
class Process : public ProcessHandle {
 public:
  /// Holds copies of function and arguments, moved in if they are temporaries. The result of the
  /// function is ignored. A compile-time error if it can't be called with the arguments.
  template <class F, class... Args>
    requires(!std::is_base_of_v<ProcessHandle, std::decay_t<F>> &&
             !std::is_same_v<std::decay_t<F>, ProcessOptions>)
  explicit Process(F&& f, Args&&... args)
      : Process(ProcessOptions{}, std::forward<F>(f), std::forward<Args>(args)...) {}
  template <class F, class... Args>
  explicit Process(ProcessOptions options, F&& f, Args&&... args) {
    constexpr bool callable = detail::takes_received<std::decay_t<F>, std::decay_t<Args>...>;
    static_assert(callable, "Process(f, args...): f can't be called with these arguments");
    if constexpr (callable) {
      keep(std::make_unique<detail::CallWork<std::decay_t<F>, std::decay_t<Args>...>>(
               std::forward<F>(f), std::forward<Args>(args)...),
           std::move(options));
    }
  }

  /// Starts the process. Throws BadArgument the second time, in daemons, and where a fork is
  /// unsafe; CannotTravel, which names the argument; SystemError where there can be no process.
  void start() { ProcessHandle::start(nullptr); }
};

/// Base of a class whose objects are processes: `struct Reader : ProcessBase<Reader>` with a
/// function `run()`, which is what the process does. With spawn and forkserver the fields of an
/// aggregate travel, or what serialize() names of a class with a default constructor; what run()
/// changes stays in the process. Within run(), name() and pid() are those of the process. Objects
/// can be moved, not copied, and must not be moved by another thread during start().
template <class T>
class ProcessBase : public ProcessHandle, public detail::FieldlessBase<T> {
 public:
  ProcessBase() noexcept = default;

  /// As Process::start.
  void start() {
    detail::ObjectWork<T> work(static_cast<T&>(*this));
    ProcessHandle::start(&work);
  }
};

/// Called in a process that was started by Process: its name and whether it is a daemon. Elsewhere
/// the name is "MainProcess".
[[nodiscard]] ProcessInfo current_process();
/// The process that started this one by Process; nothing in others. It may have ended.
[[nodiscard]] std::optional<ProcessInfo> parent_process();
/// The children of this process that have not ended. Collects those that have.
[[nodiscard]] std::vector<ProcessInfo> active_children();

/// The start method where ProcessOptions name none: spawn until this is called. Children have that
/// of their parent.
void set_start_method(StartMethod method) noexcept;
[[nodiscard]] StartMethod get_start_method() noexcept;

/// Has the fork server call `f`, once, before it forks: to load what many processes need. For the
/// fork servers that this process starts from now on; a running one gets no further children.
void forkserver_preload(void (*f)());

}  // namespace hoist
