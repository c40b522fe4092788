// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/detail/managed.hpp>
#include <hoist/proxy.hpp>
#include <hoist/queue.hpp>
#include <hoist/shared.hpp>
#include <hoist/sync.hpp>

#include <any>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// A server for objects that processes use through proxies, after Python's multiprocessing.Manager;
// hoist/proxy.hpp has the proxies.

namespace hoist {

namespace detail {
struct ManagerServer;
}

struct ManagerOptions {
  /// Where other programs find the server, as a Listener's (hoist/listener.hpp): a socket's path or
  /// "host:port". Without one, only processes that get a proxy do.
  std::string address = {};
  /// The secret for that. Who has it can run code in the server.
  std::optional<std::string> authkey = {};
};

/// Starts a server and makes objects there. The server is this program, started again; it ignores
/// Ctrl-C, and ends with the manager or with this process.
class Manager {
 public:
  Manager() : Manager(ManagerOptions{}) {}
  /// Throws SystemError if the server can't be started, and as a Listener does.
  explicit Manager(const ManagerOptions& options);
  /// Uses the server that another process of the same program has started with that address, also
  /// on another machine. Proxies can be sent to processes there, too, and to others that have
  /// connected. Throws as hoist::connect does.
  static Manager connect(const ManagerOptions& options);
  Manager(Manager&&) noexcept;
  Manager& operator=(Manager&&) noexcept;
  /// Calls shutdown().
  ~Manager();

  /// Ends the server, if this has started it. Its objects are gone, and proxies throw ManagerDied.
  /// Does nothing the second time.
  void shutdown() noexcept;
  /// The pid of the server; 0 if another process has started it.
  [[nodiscard]] int pid() const;
  /// Where it listens, with the port that it has; empty if it does not.
  [[nodiscard]] std::string address() const;

  /// A C that is constructed in the server with copies of these arguments.
  template <class C, class... Args>
  Proxy<C> make(const Args&... args) const {
    return Proxy<C>(made<C>(args...));
  }
  template <class K, class V>
  DictProxy<K, V> dict(const std::map<K, V>& items = {}) const {
    return DictProxy<K, V>(made<std::map<K, V>>(items));
  }
  template <class T>
  ListProxy<T> list(const std::vector<T>& items = {}) const {
    return ListProxy<T>(made<std::vector<T>>(items));
  }
  template <class T>
  ArrayProxy<T> array(std::size_t n) const {
    return ArrayProxy<T>(made<std::vector<T>>(std::vector<T>(n)));
  }
  template <class T>
  ValueProxy<T> value(const T& initial) const {
    return ValueProxy<T>(made<T>(initial));
  }
  NamespaceProxy ns() const { return NamespaceProxy(made<std::map<std::string, std::any>>()); }

  // These need no server: they lie in shared memory, and so can't be sent to other machines.
  template <class T>
  Queue<T> queue(std::size_t maxsize = 0) const {
    return Queue<T>(maxsize);
  }
  Lock lock() const { return {}; }
  RLock rlock() const { return {}; }
  Semaphore semaphore(std::ptrdiff_t value = 1) const { return Semaphore(value); }
  BoundedSemaphore bounded_semaphore(std::ptrdiff_t value = 1) const {
    return BoundedSemaphore(value);
  }
  Event event() const { return {}; }
  Condition condition() const { return {}; }
  Barrier barrier(std::ptrdiff_t parties) const { return Barrier(parties); }

 private:
  explicit Manager(std::unique_ptr<detail::ManagerServer> server) noexcept;
  const detail::ManagerLink& link() const;
  template <class C, class... Args>
  detail::ProxyHandle made(const Args&... args) const {
    return detail::ProxyHandle::make<C>(link(), args...);
  }

  std::unique_ptr<detail::ManagerServer> server_;
};

}  // namespace hoist
