// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/listener.hpp>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <list>
#include <mutex>
#include <utility>
#include <vector>

#include "os/fork_hook.hpp"
#include "os/process_id.hpp"
#include "sockets/address.hpp"
#include "sockets/authentication.hpp"
#include "sockets/socket_end.hpp"

namespace hoist {

using namespace detail::sockets;

namespace {

/// As many connections may be in their handshake.
constexpr std::size_t max_pending = 64;
/// The oldest of them leaves for the next when it has had so long.
constexpr auto fair_time = std::chrono::milliseconds(250);

/// A connection of which is not yet known who it is with.
struct Pending {
  Pending(detail::os::Fd connected, const AuthenticationKey& key, const ListenerOptions& options)
      : fd(std::move(connected)),
        handshake(Role::listener, key, options.any_program, peer_name(fd.get())),
        since(Clock::now()) {}

  detail::os::Fd fd;
  Handshake handshake;
  Clock::time_point since;
};

enum class Progress { waits, done, over };

/// Sends and receives what can be without waiting.
Progress advance(int fd, Handshake& handshake) {
  for (;;) {
    if (const auto output = handshake.output(); !output.empty()) {
      const ssize_t sent = ::send(fd, output.data(), output.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent > 0) handshake.sent(static_cast<std::size_t>(sent));
      if (sent > 0 || errno == EINTR) continue;
      return errno == EAGAIN || errno == EWOULDBLOCK ? Progress::waits : Progress::over;
    }
    if (handshake.is_done()) return Progress::done;
    const auto room = handshake.room();
    const ssize_t got = ::recv(fd, room.data(), room.size(), MSG_DONTWAIT);
    if (got == 0) return Progress::over;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return errno == EAGAIN || errno == EWOULDBLOCK ? Progress::waits : Progress::over;
    }
    try {
      handshake.take(static_cast<std::size_t>(got));
    } catch (const Error&) {
      // There is room for these few bytes; if not, the other side learns nothing but the end.
      const auto refusal = handshake.output();
      ::send(fd, refusal.data(), refusal.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      throw;
    }
  }
}

/// Without a key, only the permissions of the path protect: it may be another user's.
void check_user(int fd, const AuthenticationKey& key, const std::string& who) {
  if (key.is_secret()) return;
  const auto user = peer_user(fd);
  if (user && (*user == ::geteuid() || *user == 0)) return;
  throw AuthenticationError(who + " belongs to another user: give both sides an authkey");
}

ListenerOptions without_key(const ListenerOptions& options) {
  return {.any_program = options.any_program,
          .max_message_bytes = options.max_message_bytes,
          .handshake_timeout = options.handshake_timeout};
}

void check_key(const SocketAddress& address, const AuthenticationKey& key) {
  if (address.is_path() || key.is_secret()) return;
  throw BadArgument("a connection by " + address.text() +
                    " needs an authkey, since anybody may connect to a port");
}

detail::SocketStream stream_of(detail::os::Fd fd, const Handshake& handshake, bool is_path,
                               std::size_t max_bytes) {
  prepare_connection(fd.get());
  const bool same = handshake.is_same_program();
  const MessageRules rules{max_bytes, is_path && same, same};
  return detail::SocketStream(std::make_shared<SocketEnd>(std::move(fd), rules));
}

}  // namespace

class Listener::State {
 public:
  State(const std::string& text, const ListenerOptions& options)
      : options_(without_key(options)), key_(options.authkey), address_(text) {
    check_key(address_, key_);
    socket_.emplace(address_);
    text_ = socket_->address();
  }
  ~State() { end(); }

  detail::SocketStream accept(detail::Deadline deadline);
  const std::string& address() const { return text_; }
  void close() {
    if (closed_.exchange(true)) return;
    const std::lock_guard lock(mutex_);
    end();
  }
  bool is_closed() const { return closed_.load(); }
  int fd() const {
    check_open();
    return socket_->fd();
  }

 private:
  using Turn = std::unique_lock<std::timed_mutex>;

  void check_open() const {
    if (closed_.load()) throw Closed("the listener at " + text_ + " has been closed");
  }
  Turn take_turn(detail::Deadline deadline) const;
  void take_new();
  std::optional<detail::SocketStream> serve();
  void drop_late();
  void wait(detail::Deadline deadline) const;
  void in_child();
  void end();

  const ListenerOptions options_;
  const AuthenticationKey key_;
  const SocketAddress address_;
  std::string text_;
  std::atomic<bool> closed_{false};
  const detail::os::ProcessId maker_ = detail::os::own_process();

  mutable std::timed_mutex mutex_;
  std::optional<ListeningSocket> socket_;
  std::list<Pending> pending_;  // the oldest first
  bool is_short_ = false;       // of descriptors for more of them

  std::mutex forking_;
  detail::os::ForkHook hook_{forking_, [this] { in_child(); }};
};

Listener::State::Turn Listener::State::take_turn(detail::Deadline deadline) const {
  Turn turn(mutex_, std::defer_lock);
  for (;;) {
    check_open();
    if (turn.try_lock_until(std::min(deadline, Clock::now() + look_interval))) break;
    if (Clock::now() >= deadline) return turn;
  }
  check_open();
  return turn;
}

/// Accepts whoever has connected, as far as there is room for them.
void Listener::State::take_new() {
  for (;;) {
    const bool is_full = pending_.size() >= max_pending;
    if (is_full && Clock::now() - pending_.front().since < fair_time) return;
    detail::os::Fd fd;
    try {
      fd = socket_->accept();
    } catch (const SystemError&) {
      // For want of descriptors, which those in the handshake have: they leave as if all places
      // were taken.
      if (pending_.empty()) throw;
      is_short_ = Clock::now() - pending_.front().since < fair_time;
      if (is_short_) return;
      pending_.pop_front();
      continue;
    }
    is_short_ = false;
    if (!fd) return;
    if (is_full) pending_.pop_front();
    if (address_.is_path()) check_user(fd.get(), key_, "the client (" + peer_name(fd.get()) + ")");
    pending_.emplace_back(std::move(fd), key_, options_);
  }
}

/// The first of the pending that has become a connection.
std::optional<detail::SocketStream> Listener::State::serve() {
  for (auto one = pending_.begin(); one != pending_.end();) {
    Progress progress = Progress::over;
    try {
      progress = advance(one->fd.get(), one->handshake);
    } catch (const AuthenticationError&) {
      pending_.erase(one);
      throw;
    } catch (const DamagedData&) {
      // Anybody may send anything: that is no reason to bother the program.
    }
    if (progress == Progress::waits) {
      ++one;
      continue;
    }
    const auto node = std::exchange(one, std::next(one));
    std::list<Pending> ended;
    ended.splice(ended.end(), pending_, node);
    if (progress == Progress::over) continue;
    return stream_of(std::move(ended.front().fd), ended.front().handshake, address_.is_path(),
                     options_.max_message_bytes);
  }
  return std::nullopt;
}

void Listener::State::drop_late() {
  const auto now = Clock::now();
  pending_.remove_if(
      [&](const Pending& one) { return now - one.since >= options_.handshake_timeout; });
}

void Listener::State::wait(detail::Deadline deadline) const {
  std::vector<pollfd> files;
  for (const Pending& one : pending_) {
    const bool sends = !one.handshake.output().empty();
    files.push_back({one.fd.get(), static_cast<short>(sends ? POLLOUT : POLLIN), 0});
  }
  // Otherwise new ones are looked at when the oldest has had its time.
  if (pending_.size() < max_pending && !is_short_) files.push_back({socket_->fd(), POLLIN, 0});
  const auto left = std::min<Clock::duration>(deadline - Clock::now(), look_interval);
  const auto rounded = std::chrono::ceil<std::chrono::milliseconds>(left).count();
  ::poll(files.data(), files.size(), static_cast<int>(std::max<decltype(rounded)>(rounded, 0)));
}

detail::SocketStream Listener::State::accept(detail::Deadline deadline) {
  const Turn turn = take_turn(deadline);
  for (;;) {
    if (turn) {
      take_new();
      if (auto stream = serve()) return *std::move(stream);
      drop_late();
    }
    if (!turn || Clock::now() >= deadline) {
      throw TimedOut("nobody has connected to " + text_ + " in time");
    }
    wait(deadline);
    check_open();
  }
}

/// Whoever is in the handshake is in it with the process that has forked.
void Listener::State::in_child() {
  if (mutex_.try_lock()) {
    mutex_.unlock();
  } else {
    new (&mutex_) std::timed_mutex;
  }
  pending_.clear();
}

void Listener::State::end() {
  if (socket_) socket_->close(maker_ == detail::os::own_process());
  pending_.clear();
}

Listener::Listener(const std::string& address, const ListenerOptions& options)
    : state_(std::make_unique<State>(address, options)) {}
Listener::Listener(Listener&& other) noexcept = default;
Listener& Listener::operator=(Listener&& other) noexcept = default;
Listener::~Listener() = default;

Listener::State& Listener::state() const {
  if (state_ == nullptr) throw BadArgument("this listener has been moved from");
  return *state_;
}

std::string Listener::address() const { return state().address(); }
void Listener::close() const { state().close(); }
bool Listener::closed() const { return state().is_closed(); }
int Listener::fileno() const { return state().fd(); }
detail::SocketStream Listener::accept_until(detail::Deadline deadline) const {
  return state().accept(deadline);
}

namespace {

/// False if the listener has closed the connection without an answer: it has ended, or had too many
/// of them, and another attempt may succeed.
bool shake_hands(int fd, Handshake& handshake, detail::Deadline deadline) {
  for (;;) {
    const Progress progress = advance(fd, handshake);
    if (progress == Progress::done) return true;
    if (progress == Progress::over) return false;
    const short events = handshake.output().empty() ? POLLIN : POLLOUT;
    if (!wait_for_socket(fd, events, deadline)) {
      throw TimedOut("the listener at " + handshake.peer() +
                     " didn't accept the connection in time");
    }
  }
}

}  // namespace

detail::SocketStream detail::connect_stream(const std::string& text, const ConnectOptions& options,
                                            bool may_come) {
  const SocketAddress address(text);
  const AuthenticationKey key(options.authkey);
  check_key(address, key);
  const Deadline deadline = deadline_after(options.timeout);
  for (;;) {
    os::Fd fd = may_come ? connect_socket(address, deadline) : connect_once(address, deadline);
    if (address.is_path()) check_user(fd.get(), key, "the listener at " + text);
    Handshake handshake(Role::client, key, options.any_program, text);
    if (shake_hands(fd.get(), handshake, deadline)) {
      return stream_of(std::move(fd), handshake, address.is_path(), options.max_message_bytes);
    }
    if (!wait_for_socket(-1, 0, std::min(deadline, Clock::now() + fair_time / 10))) {
      throw TimedOut("the listener at " + text + " closes every connection");
    }
  }
}

}  // namespace hoist
