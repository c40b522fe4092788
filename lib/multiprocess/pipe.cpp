// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/pipe.hpp>

#include <hoist/detail/watch.hpp>

#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <new>

#include "multiprocess/enrolled.hpp"
#include "multiprocess/process_table.hpp"
#include "multiprocess/shared_store.hpp"
#include "os/fork_hook.hpp"

namespace hoist::detail {

namespace multiprocess {

namespace {

/// A process that has an end of a pipe.
struct EndHolder {
  std::atomic<os::ProcessId> process{0};
  std::atomic<std::uint32_t> handles{0};
  /// More handles that it has not used, only because it was forked by one that had them.
  std::atomic<std::uint32_t> inherited{0};

  bool is_vacant() const { return process.load() == 0; }
  void clear() {
    store(handles, 0U);
    store(inherited, 0U);
  }
};

/// So long after a process has closed an end it isn't certain that nobody has it: a child that was
/// forked may have, or a process that it was sent to.
constexpr auto time_to_fork = std::chrono::milliseconds(200);
constexpr auto time_to_arrive = std::chrono::seconds(10);

struct EndState {
  ProcessTable<EndHolder> holders;
  std::atomic<Clock::rep> unsure_until{0};

  bool is_gone() const {
    const auto entries = holders.entries();
    if (std::ranges::any_of(entries,
                            [](const EndHolder& one) { return one.process.load() != 0; })) {
      return false;
    }
    const Clock::rep until = unsure_until.load();
    return until == 0 || Clock::now().time_since_epoch().count() >= until;
  }

  /// With the mutex held: when the last process that really had the end has gone otherwise than by
  /// closing it, those that only inherited it don't count.
  void drop_heirs() {
    const auto has = [](const EndHolder& one) {
      return one.process.load() != 0 && one.handles.load() != 0;
    };
    if (std::ranges::any_of(holders.entries(), has)) return;
    for (EndHolder& one : holders.entries()) {
      if (one.process.load() != 0) holders.free(one);
    }
  }
};

struct PipeState {
  RobustMutex mutex{false, OwnerDeath::recover};
  std::array<EndState, 2> ends;
};

}  // namespace

/// What the handles of one end have in common in this process.
class PipeEnd final : public Peers, Enrolled {
 public:
  PipeEnd(SharedBlock block, std::uint32_t side, std::optional<MessageQueue> out,
          std::optional<MessageQueue> in)
      : block_(std::move(block)), side_(side), queues_{std::move(out), std::move(in)} {
    use();
    enroll();
  }
  ~PipeEnd() override;

  bool are_gone() const override {
    const EndState& other = state().ends[1 - side_];
    if (!other.is_gone()) return false;
    const Guard guard(state().mutex);  // somebody may just be coming
    return other.is_gone();
  }
  /// At most so often as whoever waits looks: it asks the system for each process.
  void look() const override {
    const Clock::rep now = Clock::now().time_since_epoch().count();
    if (now - looked_.load() < Clock::duration(look_interval / 2).count()) return;
    looked_.store(now);
    EndState& other = state().ends[1 - side_];
    bool died = false;
    other.holders.sweep(state().mutex, [&](int) { died = true; });
    if (!died) return;
    const Guard guard(state().mutex);
    other.drop_heirs();
  }

  /// Before each use: a forked child now really has it.
  void use();
  bool has_left() const { return left_.load(); }
  /// Closes it in this process. `by_death`: as the process ends.
  void leave(bool by_death);
  void inherit() override;
  void end_with_process() override { leave(true); }
  void note_sent() { sent_.store(true); }

 private:
  PipeState& state() const { return block_.as<PipeState>(); }
  SharedBlock block_;
  const std::uint32_t side_;
  const std::array<std::optional<MessageQueue>, 2> queues_;
  std::atomic<os::ProcessId> user_{0};  // the process that is known as one that really has it
  os::ProcessId inherited_by_ = 0;      // or that is known to have inherited it; under the mutex
  mutable std::atomic<Clock::rep> looked_{0};
  std::atomic<bool> left_{false};
  std::atomic<bool> sent_{false};
  const std::uint64_t forks_before_ = os::fork_count();
};

void PipeEnd::inherit() {
  const Guard guard(state().mutex);
  user_.store(0);
  if (left_.load()) return;
  EndHolder* const own = state().ends[side_].holders.find_or_add();
  if (own == nullptr) return;  // it is noticed when it uses the end
  inherited_by_ = os::own_process();
  sent_.store(false);
  store(own->inherited, own->inherited.load() + 1);
}

void PipeEnd::use() {
  if (user_.load(std::memory_order_relaxed) == os::own_process()) return;
  see_end();
  for (bool swept = false;; swept = true) {
    {
      const Guard guard(state().mutex);
      if (user_.load() == os::own_process()) return;
      if (EndHolder* const own = state().ends[side_].holders.find_or_add()) {
        store(own->handles, own->handles.load() + 1);
        if (inherited_by_ == os::own_process()) store(own->inherited, own->inherited.load() - 1);
        inherited_by_ = 0;
        store(state().ends[side_].unsure_until, Clock::rep{0});
        user_.store(os::own_process());
        return;
      }
    }
    if (swept) throw BadArgument("more than 500 processes have an end of one pipe");
    state().ends[side_].holders.sweep(state().mutex, [](int) {});
  }
}

void PipeEnd::leave(bool by_death) {
  if (left_.exchange(true)) return;
  {
    const Guard guard(state().mutex);
    EndState& end = state().ends[side_];
    EndHolder* const own = end.holders.find();
    if (own == nullptr) return;
    auto& count = inherited_by_ == os::own_process() ? own->inherited : own->handles;
    if (own->handles.load() + own->inherited.load() > 1) {
      store(count, count.load() - 1);
      if (by_death) end.drop_heirs();
      return;
    }
    if (!by_death && (sent_.load() || os::fork_count() != forks_before_)) {
      const Clock::time_point until =
          Clock::now() + (sent_.load() ? Clock::duration(time_to_arrive) : time_to_fork);
      store(end.unsure_until, until.time_since_epoch().count());
    }
    end.holders.free(*own);
    if (by_death) end.drop_heirs();
  }
  for (const auto& queue : queues_) {
    if (queue) queue->wake();
  }
}

PipeEnd::~PipeEnd() {
  withdraw();
  leave(false);
}

}  // namespace multiprocess

using namespace multiprocess;

std::pair<ConnectionHandle, ConnectionHandle> ConnectionHandle::make(bool duplex,
                                                                     std::size_t max_bytes) {
  const auto block = SharedBlock::make("hoist-pipe", sizeof(PipeState));
  new (block.data()) PipeState;
  const MessageQueue back({.max_bytes = max_bytes});
  std::optional<MessageQueue> forth;
  if (duplex) forth.emplace(QueueLimits{.max_bytes = max_bytes});
  return {ConnectionHandle(block, 0, forth, back), ConnectionHandle(block, 1, back, forth)};
}

ConnectionHandle::ConnectionHandle(SharedBlock block, std::uint32_t side,
                                   std::optional<MessageQueue> out, std::optional<MessageQueue> in)
    : SharedHandle(std::move(block)),
      side_(side),
      out_(std::move(out)),
      in_(std::move(in)),
      end_(std::make_shared<PipeEnd>(this->block(), side_, out_, in_)) {}

PipeEnd& ConnectionHandle::end() const {
  if (end_ == nullptr) throw BadArgument("this connection is of no pipe");
  return *end_;
}

void ConnectionHandle::note_sent() const { end().note_sent(); }

void ConnectionHandle::use() const {
  if (end().has_left()) throw BadArgument("this end of the pipe has been closed here");
  end_->use();
}

const MessageQueue& ConnectionHandle::out() const {
  use();
  if (!out_) throw BadArgument("this end of a pipe that isn't duplex only receives");
  return *out_;
}

const MessageQueue& ConnectionHandle::in() const {
  use();
  if (!in_) throw BadArgument("this end of a pipe that isn't duplex only sends");
  return *in_;
}

const Peers& ConnectionHandle::peers() const { return end(); }

bool ConnectionHandle::poll_until(Deadline deadline) const { return in().poll(deadline, &peers()); }

int ConnectionHandle::watched_fd() const { return in().fileno(); }

Change when_readable(const ConnectionHandle& connection) {
  Change change = when_readable(connection.receiving());
  change.is_ready = [connection] { return connection.poll_until(Deadline()); };
  return change;
}

void ConnectionHandle::put_bytes(std::span<const std::byte> bytes, Deadline deadline) const {
  if (!out().put_bytes(bytes, deadline, &peers())) throw_full();
}

std::vector<std::byte> ConnectionHandle::get_bytes(Deadline deadline) const {
  std::vector<std::byte> bytes;
  const auto place_for = [&](std::size_t size) {
    bytes.resize(size);
    return bytes.data();
  };
  if (!in().get_bytes(place_for, deadline, &peers())) throw_empty();
  return bytes;
}

std::size_t ConnectionHandle::get_bytes_into(std::span<std::byte> to, Deadline deadline) const {
  std::size_t bytes = 0;
  std::vector<std::byte> too_long;
  const auto place_for = [&](std::size_t size) {
    bytes = size;
    too_long.clear();
    if (size <= to.size()) return to.data();
    too_long.resize(size);
    return too_long.data();
  };
  if (!in().get_bytes(place_for, deadline, &peers())) throw_empty();
  if (!too_long.empty()) throw BufferTooShort(std::move(too_long));
  return bytes;
}

void ConnectionHandle::leave() const {
  if (has_pipe()) end_->leave(false);
}
bool ConnectionHandle::has_left() const { return !has_pipe() || end_->has_left(); }

void ConnectionHandle::throw_full() { throw Full("the pipe is full"); }
void ConnectionHandle::throw_empty() { throw Empty("nothing came through the pipe in time"); }

}  // namespace hoist::detail

namespace hoist {

using namespace detail::multiprocess;

Waitable::Waitable(const detail::ConnectionHandle& connection)
    : fd_(connection.watched_fd()), connection_(connection) {}

Waitable::Waitable(const detail::MessageQueue& queue) : fd_(queue.fileno()), queue_(queue) {}

bool Waitable::is_ready() const {
  const detail::Deadline now;
  if (poll_) return poll_();
  return connection_ ? connection_->poll_until(now) : queue_->poll(now);
}

void Waitable::settle() const {
  if (queue_) queue_->settle();
  if (connection_) connection_->receives()->settle();
}

std::vector<std::size_t> wait_until_any(std::span<const Waitable> all, detail::Deadline deadline) {
  std::vector<pollfd> files;
  for (const Waitable& one : all) files.push_back({one.fd_, POLLIN, 0});
  for (bool is_first = true;; is_first = false) {
    const auto now = Clock::now();
    // Those who send may die before they signal, and peers die without a signal.
    const auto until = std::min(deadline, now + look_interval);
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - now).count();
    const int timeout = is_first ? 0 : static_cast<int>(std::max<decltype(left)>(left, 0));
    if (::poll(files.data(), files.size(), timeout) < 0 && errno != EINTR) {
      throw SystemError("can't wait for descriptors", errno);
    }
    std::vector<std::size_t> ready;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const Waitable& one = all[i];
      const bool is_file = !one.connection_ && !one.queue_ && !one.poll_;
      const bool is_readable = files[i].revents != 0;
      // poll(2) passes over negative ones.
      if ((files[i].revents & POLLNVAL) != 0 || (is_file && one.fd_ < 0)) {
        throw SystemError("wait_any: " + std::to_string(one.fd_) + " is no open descriptor", EBADF);
      }
      if (is_file ? is_readable : one.is_ready()) {
        ready.push_back(i);
      } else if (is_readable) {
        one.settle();
      }
    }
    if (!ready.empty() || (!is_first && Clock::now() >= deadline)) return ready;
  }
}

}  // namespace hoist
