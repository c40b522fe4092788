// SPDX-License-Identifier: BSD-3-Clause
#include "sockets/socket_end.hpp"

#include <hoist/error.hpp>
#include <hoist/pipe.hpp>

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include "os/socket.hpp"

namespace hoist::detail {

namespace sockets {

namespace {

/// Who keeps on sending is listened to for so many reads before the time is looked at.
constexpr int reads_at_once = 16;
constexpr auto time_for_reads = std::chrono::milliseconds(100);

bool is_gone(int error) {
  return error == EPIPE || error == ECONNRESET || error == ENOTCONN || error == ETIMEDOUT ||
         error == EHOSTUNREACH || error == ENETUNREACH || error == ECONNABORTED;
}

[[noreturn]] void throw_end() {
  throw EndOfStream("the other side of the connection has closed it or ended");
}

std::size_t total(std::span<const iovec> parts) {
  std::size_t bytes = 0;
  for (const iovec& part : parts) bytes += part.iov_len;
  return bytes;
}

/// Drops the first bytes of the parts.
void drop(std::vector<iovec>& parts, std::size_t bytes) {
  auto part = parts.begin();
  while (part != parts.end() && bytes >= part->iov_len) bytes -= (part++)->iov_len;
  parts.erase(parts.begin(), part);
  if (bytes == 0) return;
  parts.front().iov_base = static_cast<std::byte*>(parts.front().iov_base) + bytes;
  parts.front().iov_len -= bytes;
}

}  // namespace

bool wait_for_socket(int fd, short events, Deadline deadline) {
  const auto now = Clock::now();
  if (now >= deadline) return false;
  const auto left = std::min<Clock::duration>(deadline - now, look_interval);
  pollfd file{fd, events, 0};
  ::poll(&file, 1, static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count()));
  return true;
}

SocketEnd::SocketEnd(os::Fd fd, const MessageRules& rules)
    : fd_(std::move(fd)), rules_(rules), incoming_(std::make_unique<IncomingMessage>(rules)) {}

void SocketEnd::check_open() const {
  if (closed_.load()) throw BadArgument("this connection has been closed here");
}

SocketEnd::Turn SocketEnd::take_turn(std::timed_mutex& mutex, Deadline deadline) const {
  Turn turn(mutex, std::defer_lock);
  check_open();
  while (!turn.try_lock()) {
    const auto now = Clock::now();
    if (now >= deadline) return turn;
    if (turn.try_lock_until(std::min(deadline, now + look_interval))) break;
    check_open();
  }
  check_open();
  return turn;
}

bool SocketEnd::wait(short events, Deadline deadline) const {
  const bool in_time = wait_for_socket(fd_.get(), events, deadline);
  check_open();
  return in_time;
}

int SocketEnd::fd() const {
  check_open();
  return fd_.get();
}

/// Empties `parts` as far as it gets until the deadline; true if nothing is left.
bool SocketEnd::write(std::vector<iovec>& parts, std::span<const int> fds, Deadline deadline) {
  os::DescriptorRoom<max_descriptors> room{};
  while (!parts.empty()) {
    msghdr head{};
    head.msg_iov = parts.data();
    head.msg_iovlen = parts.size();
    if (!fds.empty()) os::attach_descriptors(head, room.bytes, fds);
    const ssize_t sent = ::sendmsg(fd_.get(), &head, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      drop(parts, static_cast<std::size_t>(sent));
      fds = {};  // they go with the first byte
    } else if (is_gone(errno)) {
      throw_end();
    } else if (os::has_no_room(errno)) {
      // Too many descriptors are under way: no event tells when that has changed.
      const bool is_for_room = errno != ETOOMANYREFS;
      const auto soon = Clock::now() + std::chrono::milliseconds(1);
      if (Clock::now() >= deadline) return false;
      wait(is_for_room ? POLLOUT : 0, is_for_room ? deadline : std::min(deadline, soon));
    } else if (errno != EINTR) {
      throw SystemError("can't send through a connection", errno);
    }
  }
  return true;
}

bool SocketEnd::send_rest(Deadline deadline) {
  if (rest_.empty()) return true;
  std::vector<iovec> parts{{rest_.data(), rest_.size()}};
  const bool sent = write(parts, {}, deadline);
  const std::size_t left = sent ? 0 : parts.front().iov_len;
  rest_.erase(rest_.begin(), rest_.end() - static_cast<std::ptrdiff_t>(left));
  return sent;
}

/// Completes the chunk that was begun, later, and tells that the message is none. `with_end`: the
/// parts have the end of the message, or what is left of it.
void SocketEnd::withdraw(std::span<const iovec> parts, bool with_end) {
  for (const iovec& part : parts) {
    const auto* const from = static_cast<const std::byte*>(part.iov_base);
    rest_.insert(rest_.end(), from, from + part.iov_len);
  }
  if (!with_end) rest_.resize(rest_.size() + sizeof(ChunkHeader));
  // An end that has been sent in part differs in its last byte only.
  const ChunkHeader mark{0, ChunkKind::withdrawn};
  const std::size_t bytes = std::min(rest_.size(), sizeof mark);
  std::memcpy(rest_.data() + rest_.size() - bytes,
              reinterpret_cast<const std::byte*>(&mark) + sizeof mark - bytes, bytes);
}

bool SocketEnd::send(OutgoingMessage& message, Deadline deadline) {
  const Turn turn = take_turn(sending_, deadline);
  if (!turn || !send_rest(deadline)) return false;
  std::vector<iovec> parts;
  std::span<const int> fds(message.descriptors());
  for (bool begun = false; message.next_chunk(parts); begun = true) {
    const std::size_t whole = total(parts);
    const auto is_partial = [&] { return begun || total(parts) < whole; };
    try {
      if (write(parts, std::exchange(fds, {}), deadline)) continue;
    } catch (...) {
      if (is_partial()) ::shutdown(fd_.get(), SHUT_RDWR);
      throw;
    }
    if (is_partial()) withdraw(parts, message.is_at_end());
    return false;
  }
  return true;
}

void SocketEnd::read_some(std::span<std::byte> room, std::size_t& bytes) {
  iovec part{room.data(), room.size()};
  os::DescriptorRoom<max_descriptors> control;
  msghdr head{};
  head.msg_iov = &part;
  head.msg_iovlen = 1;
  if (rules_.descriptors && incoming_->is_at_front()) {
    head.msg_control = control.bytes.data();
    head.msg_controllen = control.bytes.size();
  }
  const ssize_t got = ::recvmsg(fd_.get(), &head, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (got < 0 && (errno == EINTR || os::has_no_room(errno))) return;
  if (got == 0 || (got < 0 && is_gone(errno))) throw_end();
  if (got < 0) throw SystemError("can't receive from a connection", errno);
  bytes = static_cast<std::size_t>(got);
  std::vector<os::Fd> fds;
  os::take_descriptors(head, fds);
  for (os::Fd& fd : fds) incoming_->add(std::move(fd));
}

/// With the turn to receive: false at the deadline.
bool SocketEnd::complete(Deadline deadline) {
  if (failure_) std::rethrow_exception(failure_);
  try {
    return read_message(deadline);
  } catch (const BadArgument&) {  // closed here
    throw;
  } catch (...) {
    // Nobody can tell where the next message begins. The other side learns that there is none.
    failure_ = std::current_exception();
    ::shutdown(fd_.get(), SHUT_RDWR);
    throw;
  }
}

bool SocketEnd::read_message(Deadline deadline) {
  const auto enough = std::max(deadline, Clock::now() + time_for_reads);
  for (int reads = 1; !incoming_->is_complete(); ++reads) {
    std::size_t bytes = 0;
    read_some(incoming_->room(), bytes);
    if (bytes == 0) {
      if (!wait(POLLIN, deadline)) return false;
      continue;
    }
    incoming_->take(bytes);
    if (incoming_->is_withdrawn()) incoming_ = std::make_unique<IncomingMessage>(rules_);
    if (reads % reads_at_once != 0) continue;
    check_open();
    if (Clock::now() >= enough) return incoming_->is_complete();
  }
  return true;
}

std::unique_ptr<IncomingMessage> SocketEnd::receive(Deadline deadline) {
  const Turn turn = take_turn(receiving_, deadline);
  if (!turn) return nullptr;
  if (!complete(deadline)) return nullptr;
  return std::exchange(incoming_, std::make_unique<IncomingMessage>(rules_));
}

bool SocketEnd::poll(Deadline deadline) {
  const Turn turn = take_turn(receiving_, deadline);
  if (!turn) return false;
  try {
    return complete(deadline);
  } catch (const BadArgument&) {  // closed here
    throw;
  } catch (const std::exception&) {
    return true;
  }
}

void SocketEnd::close() {
  if (closed_.exchange(true)) return;
  // Others look at that twenty times a second.
  const std::scoped_lock all(sending_, receiving_);
  fd_.reset();
  incoming_.reset();
}

/// A forked child has no thread that would give back a turn, and what that did is half done.
void SocketEnd::in_child() {
  const auto is_free = [](std::timed_mutex& mutex) {
    if (mutex.try_lock()) {
      mutex.unlock();
      return true;
    }
    new (&mutex) std::timed_mutex;
    return false;
  };
  const bool sends = !is_free(sending_);
  const bool receives = !is_free(receiving_);
  if (sends || receives) closed_.store(true);
}

}  // namespace sockets

using namespace sockets;

sockets::SocketEnd& SocketStream::end() const {
  if (end_ == nullptr) throw BadArgument("this connection is of nothing");
  return *end_;
}

bool SocketStream::put(const Encoder& encoder, const MessageType& type, Deadline deadline) const {
  OutgoingMessage message(encoder, type, end().rules());
  return end().send(message, deadline);
}

std::unique_ptr<DecodeSource> SocketStream::get(const MessageType& type, Deadline deadline) const {
  auto message = end().receive(deadline);
  if (message != nullptr) message->open(type);
  return message;
}

void SocketStream::put_bytes(std::span<const std::byte> bytes, Deadline deadline) const {
  OutgoingMessage message(bytes, end().rules());
  if (!end().send(message, deadline)) throw_full();
}

std::vector<std::byte> SocketStream::get_bytes(Deadline deadline) const {
  const auto message = end().receive(deadline);
  if (message == nullptr) throw_empty();
  return message->open_bytes();
}

std::size_t SocketStream::get_bytes_into(std::span<std::byte> to, Deadline deadline) const {
  std::vector<std::byte> bytes = get_bytes(deadline);
  if (bytes.size() > to.size()) throw BufferTooShort(std::move(bytes));
  std::ranges::copy(bytes, to.begin());
  return bytes.size();
}

bool SocketStream::poll_until(Deadline deadline) const { return end().poll(deadline); }
int SocketStream::watched_fd() const { return end().fd(); }
void SocketStream::leave() const {
  if (end_ != nullptr) end_->close();
}
bool SocketStream::has_left() const { return end_ == nullptr || end_->is_closed(); }

void SocketStream::throw_full() { throw Full("the other side of the connection doesn't receive"); }
void SocketStream::throw_empty() { throw Empty("nothing came through the connection in time"); }

}  // namespace hoist::detail

namespace hoist {

Waitable::Waitable(const detail::SocketStream& stream)
    : fd_(stream.watched_fd()), poll_([stream] { return stream.poll_until(detail::Deadline()); }) {}

}  // namespace hoist
