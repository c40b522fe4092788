// SPDX-License-Identifier: BSD-3-Clause
#include "sockets/address.hpp"

#include <hoist/error.hpp>

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>

#include "multiprocess/robust_mutex.hpp"
#include "os/thread_pool.hpp"
#include "sockets/socket_end.hpp"

namespace hoist::detail::sockets {

namespace {

/// So long a listener may take to put its socket in place of a dead one's.
constexpr auto time_to_replace = std::chrono::seconds(10);
/// And so long its name may take to be looked up.
constexpr auto time_to_look_up = std::chrono::seconds(20);
constexpr auto between_attempts = std::chrono::milliseconds(20);

constexpr int stream_socket = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;

[[noreturn]] void throw_cannot(const char* what, const std::string& address, int code) {
  throw SystemError(std::string("can't ") + what + " " + address, code);
}

os::Fd new_socket(int family, int protocol, const std::string& address) {
  os::Fd fd(::socket(family, stream_socket, protocol));
  if (!fd) throw_cannot("make a socket for", address, errno);
  return fd;
}

sockaddr_un name_of(const std::string& path) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::ranges::copy(path, name.sun_path);
  return name;
}

int bind_to(int fd, const sockaddr_un& name) {
  return ::bind(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0 ? 0 : errno;
}

/// 0 or an errno. EAGAIN: too many wait to be accepted.
int connect_to(int fd, const sockaddr* name, socklen_t size, Deadline deadline) {
  if (::connect(fd, name, size) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  while (!os::is_ready(fd, POLLOUT)) {
    if (!wait_for_socket(fd, POLLOUT, deadline)) return ETIMEDOUT;
  }
  int error = 0;
  socklen_t bytes = sizeof error;
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes);
  return error;
}

/// Whether somebody listens at the path.
bool is_live(const sockaddr_un& name, const std::string& path) {
  const os::Fd fd = new_socket(AF_UNIX, 0, path);
  const auto* const address = reinterpret_cast<const sockaddr*>(&name);
  const int error = connect_to(fd.get(), address, sizeof name, Deadline());
  return error != ECONNREFUSED && error != ENOENT;
}

/// While this lives, no other listener replaces a socket in that directory.
class DirectoryLock {
 public:
  explicit DirectoryLock(const std::string& path);
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;
  /// Closing it would release nothing: a child that was forked meanwhile has the descriptor, too.
  ~DirectoryLock() { ::flock(fd_.get(), LOCK_UN); }

 private:
  os::Fd fd_;
};

DirectoryLock::DirectoryLock(const std::string& path) {
  const std::filesystem::path directory = std::filesystem::path(path).parent_path();
  fd_ = os::Fd(
      ::open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd_) throw_cannot("listen at", path, errno);
  const auto end = Clock::now() + time_to_replace;
  while (::flock(fd_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EINTR && errno != EWOULDBLOCK) break;  // a file system without locks
    if (Clock::now() >= end) {
      throw SystemError("can't listen at " + path + ": its directory is locked by another process",
                        EWOULDBLOCK);
    }
    // Such a lock has no wait with a time limit, and no event tells that it was released. Others
    // hold it while they replace a socket, or never let go.
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

using AddressList = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

/// What getaddrinfo(3) says. Without a host it is the addresses by which this machine reaches
/// itself.
struct Found {
  Found(const char* host, const std::string& port, int flags) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV | flags;
    addrinfo* list = nullptr;
    error = ::getaddrinfo(host, port.c_str(), &hints, &list);
    code = errno;
    if (error == 0) addresses.reset(list);
  }

  int error = 0;
  int code = 0;  // errno, of EAI_SYSTEM
  AddressList addresses{nullptr, &::freeaddrinfo};
};

/// Likewise, by a thread that is left to itself at the deadline: the function has no time limit,
/// and waits for name servers up to half a minute.
std::unique_ptr<Found> find_name(const SocketAddress& address, Deadline deadline) {
  struct Answer {
    std::mutex mutex;
    std::condition_variable came;
    std::unique_ptr<Found> found;
  };
  const auto answer = std::make_shared<Answer>();
  const auto ask = [answer, host = address.host(), port = address.port()] {
    auto found = std::make_unique<Found>(host.c_str(), port, 0);
    const std::lock_guard lock(answer->mutex);
    answer->found = std::move(found);
    answer->came.notify_one();
  };
  // It may load modules of the system and hold their locks: no moment to fork in.
  os::ThreadPool::start_beside("hoist-look-up", ask, os::ThreadPool::Calls::user);
  std::unique_lock lock(answer->mutex);
  const auto has_come = [&] { return answer->found != nullptr; };
  if (deadline == Deadline::max()) {
    answer->came.wait(lock, has_come);
  } else if (!answer->came.wait_until(lock, deadline, has_come)) {
    throw TimedOut("can't look up " + address.text() + " in time");
  }
  return std::move(answer->found);
}

AddressList look_up(const SocketAddress& address, Deadline deadline) {
  // RFC 6761, section 6.3: whatever a name server says, and where there is none.
  const char* const host = address.host() == "localhost" ? nullptr : address.host().c_str();
  if (Found found(host, address.port(), AI_NUMERICHOST); found.error == 0) {
    return std::move(found.addresses);
  }
  const auto found = find_name(address, deadline);
  if (found->error == EAI_SYSTEM) throw_cannot("look up", address.text(), found->code);
  if (found->error != 0) {
    throw NotFound("can't look up " + address.text() + ": " + ::gai_strerror(found->error));
  }
  return std::move(found->addresses);
}

void set_option(int fd, int level, int name, int value) {
  ::setsockopt(fd, level, name, &value, sizeof value);
}

/// One attempt: the socket, or why there is none.
std::pair<os::Fd, int> try_path(const SocketAddress& address) {
  os::Fd fd = new_socket(AF_UNIX, 0, address.text());
  const sockaddr_un name = name_of(address.path());
  const int error =
      connect_to(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name, Deadline());
  return {std::move(fd), error};
}

/// Where nobody listens at a port of this machine, the system may connect a socket to itself.
bool is_own(int fd) {
  sockaddr_storage own{};
  sockaddr_storage peer{};
  socklen_t own_size = sizeof own;
  socklen_t peer_size = sizeof peer;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &own_size);
  ::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &peer_size);
  return own_size == peer_size && std::memcmp(&own, &peer, own_size) == 0;
}

std::pair<os::Fd, int> try_hosts(const SocketAddress& address, Deadline deadline) {
  const AddressList found = look_up(address, deadline);
  int error = ECONNREFUSED;
  int left = 0;
  for (const addrinfo* one = found.get(); one != nullptr; one = one->ai_next) ++left;
  for (const addrinfo* one = found.get(); one != nullptr; one = one->ai_next, --left) {
    os::Fd fd(::socket(one->ai_family, stream_socket, one->ai_protocol));
    if (!fd) {
      error = errno;
      continue;
    }
    // One that doesn't answer leaves the others their part of the time.
    const auto now = Clock::now();
    const Deadline end = deadline == Deadline::max() ? deadline : now + (deadline - now) / left;
    error = connect_to(fd.get(), one->ai_addr, one->ai_addrlen, end);
    if (error == 0 && is_own(fd.get())) error = ECONNREFUSED;
    if (error == 0) return {std::move(fd), 0};
  }
  return {os::Fd(), error};
}

std::pair<os::Fd, int> try_once(const SocketAddress& address, Deadline deadline) {
  auto attempt = address.is_path() ? try_path(address) : try_hosts(address, deadline);
  if (attempt.second == ETIMEDOUT) {
    throw TimedOut("can't connect to " + address.text() + " in time");
  }
  return attempt;
}

/// Whether a listener that is there may yet have room.
bool may_have_room(int error) { return error == EAGAIN || error == EINTR; }
/// Or whether one may yet come.
bool may_come(int error) {
  return may_have_room(error) || error == ECONNREFUSED || error == ENOENT || error == ECONNRESET;
}

os::Fd connect_while(bool (*may_change)(int), const SocketAddress& address, Deadline deadline) {
  for (;;) {
    auto [fd, error] = try_once(address, deadline);
    if (error == 0) return std::move(fd);
    const auto now = Clock::now();
    if (!may_change(error) || now >= deadline) throw_cannot("connect to", address.text(), error);
    std::this_thread::sleep_until(std::min<Deadline>(deadline, now + between_attempts));
  }
}

unsigned port_of(int fd) {
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size);
  return ntohs(name.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(name).sin6_port
                                          : reinterpret_cast<sockaddr_in&>(name).sin_port);
}

}  // namespace

SocketAddress::SocketAddress(const std::string& text) : text_(text) {
  if (text.find('\0') != std::string::npos) throw BadArgument("an address has a zero byte");
  if (text.find('/') != std::string::npos) {
    if (text.size() >= sizeof(sockaddr_un::sun_path)) {
      throw BadArgument("the path of a socket may have " +
                        std::to_string(sizeof(sockaddr_un::sun_path) - 1) +
                        " bytes: take a shorter one than " + text);
    }
    return;
  }
  const auto colon = text.rfind(':');
  if (colon != std::string::npos) {
    host_ = text.substr(0, colon);
    port_ = text.substr(colon + 1);
  }
  const bool brackets = host_.starts_with('[') && host_.ends_with(']');
  if (brackets) host_ = host_.substr(1, host_.size() - 2);
  unsigned port = 0;
  const char* const end = port_.data() + port_.size();
  const auto [at, error] = std::from_chars(port_.data(), end, port);
  if (host_.empty() || port_.empty() || at != end || error != std::errc() || port > 65535 ||
      host_.find_first_of(brackets ? "[]" : "[]:") != std::string::npos) {
    throw BadArgument("\"" + text +
                      "\" is no address: give \"host:port\", \"[::1]:port\", or the path of a "
                      "socket, which has a slash");
  }
}

std::string SocketAddress::with_port(unsigned port) const {
  return text_.substr(0, text_.rfind(':') + 1) + std::to_string(port);
}

ListeningSocket::ListeningSocket(const SocketAddress& address) : address_(address.text()) {
  if (address.is_path()) {
    listen_at_path(address.path());
  } else {
    listen_at_port(address);
  }
}

void ListeningSocket::listen_at_path(const std::string& path) {
  const sockaddr_un name = name_of(path);
  fd_ = new_socket(AF_UNIX, 0, path);
  // The path gets these permissions when it is made, less the umask: others never can connect.
  ::fchmod(fd_.get(), S_IRUSR | S_IWUSR);
  const DirectoryLock lock(path);
  int error = bind_to(fd_.get(), name);
  if (error == EADDRINUSE) {
    const bool is_socket = ::lstat(path.c_str(), &file_) == 0 && S_ISSOCK(file_.st_mode);
    if (!is_socket || is_live(name, path)) throw_cannot("listen at", path, EADDRINUSE);
    ::unlink(path.c_str());
    error = bind_to(fd_.get(), name);
  }
  if (error != 0) throw_cannot("listen at", path, error);
  ::chmod(path.c_str(), S_IRUSR | S_IWUSR);
  path_ = std::filesystem::absolute(path).string();
  if (::listen(fd_.get(), SOMAXCONN) != 0 || ::lstat(path.c_str(), &file_) != 0) {
    const int code = errno;
    ::unlink(path.c_str());
    throw_cannot("listen at", path, code);
  }
}

void ListeningSocket::listen_at_port(const SocketAddress& address) {
  const AddressList found = look_up(address, Clock::now() + time_to_look_up);
  int error = EADDRNOTAVAIL;
  for (const addrinfo* one = found.get(); one != nullptr && !fd_; one = one->ai_next) {
    os::Fd fd(::socket(one->ai_family, stream_socket, one->ai_protocol));
    if (fd) {
      // Or a port can't be used again for a minute.
      set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
      if (::bind(fd.get(), one->ai_addr, one->ai_addrlen) == 0 &&
          ::listen(fd.get(), SOMAXCONN) == 0) {
        fd_ = std::move(fd);
        break;
      }
    }
    error = errno;
  }
  if (!fd_) throw_cannot("listen at", address.text(), error);
  address_ = address.with_port(port_of(fd_.get()));
}

os::Fd ListeningSocket::accept() const {
  for (;;) {
    os::Fd fd(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (fd) return fd;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return {};
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS ||
        errno == EINVAL || errno == EBADF) {
      throw_cannot("accept a connection at", address_, errno);
    }
    // Else who wanted to connect has given up.
  }
}

void ListeningSocket::close(bool removes_path) {
  struct stat now{};
  if (removes_path && !path_.empty() && ::lstat(path_.c_str(), &now) == 0 &&
      now.st_ino == file_.st_ino && now.st_dev == file_.st_dev) {
    // Before it is closed: until then no other listener takes the path.
    ::unlink(path_.c_str());
  }
  path_.clear();
  fd_.reset();
}

os::Fd connect_socket(const SocketAddress& address, Deadline deadline) {
  return connect_while(may_come, address, deadline);
}

os::Fd connect_once(const SocketAddress& address, Deadline deadline) {
  return connect_while(may_have_room, address, deadline);
}

void prepare_connection(int fd) {
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  // A host that has vanished is noticed after two minutes where nothing is under way to it, and
  // otherwise when the system gives up sending that again, after about a quarter of an hour. A
  // TCP_USER_TIMEOUT would also end connections whose peers just don't receive for long.
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 60);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 10);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 6);
}

std::optional<uid_t> peer_user(int fd) {
  ucred who{};
  socklen_t size = sizeof who;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) return std::nullopt;
  return who.uid;
}

std::string peer_name(int fd) {
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  auto* const address = reinterpret_cast<sockaddr*>(&name);
  if (::getpeername(fd, address, &size) != 0) return "gone";
  if (name.ss_family == AF_UNIX) {
    ucred who{};
    socklen_t bytes = sizeof who;
    ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &bytes);
    return "process " + std::to_string(who.pid);
  }
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  if (::getnameinfo(address, size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "unknown";
  }
  const std::string text(host);
  return (name.ss_family == AF_INET6 ? "[" + text + "]" : text) + ":" + port;
}

}  // namespace hoist::detail::sockets
