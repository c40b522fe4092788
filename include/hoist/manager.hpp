// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/detail/managed.hpp>
#include <hoist/proxy.hpp>
#include <hoist/queue_proxy.hpp>
#include <hoist/shared.hpp>
#include <hoist/sync.hpp>
#include <hoist/sync_proxy.hpp>

#include <any>
#include <chrono>
#include <cstddef>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// A server for objects that processes use through proxies, after Python's multiprocessing.Manager;
// hoist/proxy.hpp has the proxies, and what holds for all of them.
//
//     const Manager manager;
//     const auto ages = manager.dict<std::string, int>();
//     ages.set("Ada", 36);  // here, and in every process that gets `ages`
//
// All functions may be called from several threads at a time, but those that move, assign or shut
// down a manager.

namespace hoist {

namespace detail::managers {
struct ManagerServer;
}

/// Options of a Manager, and of `Manager::connect`.
struct ManagerOptions {
  /// Where other programs find the server, as a Listener's (hoist/listener.hpp): a socket's path or
  /// "host:port". Without one, only processes that get a proxy do.
  std::string address = {};
  /// The secret for that. Who has it can run code in the server.
  std::optional<std::string> authkey = {};
  /// So long connect() tries where nobody listens yet.
  std::chrono::milliseconds timeout = std::chrono::seconds(20);
};

/// Starts a server and makes objects there. The server is this program, started again; it ignores
/// Ctrl-C, and ends with the manager or with this process.
class Manager {
 public:
  /// Without an address.
  Manager() : Manager(ManagerOptions{}) {}
  /// Starts the server and waits until it is ready, which takes as long as a Process by spawn.
  /// Throws SystemError if it can't be started, and as a Listener does.
  explicit Manager(const ManagerOptions& options);
  /// Uses the server that another process of the same program has started with that address, also
  /// on another machine. Proxies can be sent to processes there, too, and to others that have
  /// connected. Throws as hoist::connect does.
  static Manager connect(const ManagerOptions& options);
  Manager(Manager&&) noexcept;
  Manager& operator=(Manager&&) noexcept;
  /// Calls shutdown().
  ~Manager();

  /// Ends the server, if this has started it. Its objects are gone: proxies throw ManagerDied, the
  /// functions below BadArgument. Does nothing the second time.
  void shutdown() noexcept;
  /// The pid of the server; 0 if another process has started it.
  [[nodiscard]] int pid() const;
  /// Where it listens, with the port that it has; empty if it does not.
  [[nodiscard]] std::string address() const;

  /// A C that is constructed in the server with copies of these arguments. This and the functions
  /// below throw ManagerDied; CannotTravel for what can't be sent; what the constructor throws in
  /// the server; BadArgument after shutdown(). Each costs a round trip.
  template <class C, class... Args>
  Proxy<C> make(const Args&... args) const {
    return Proxy<C>(made<C>(args...));
  }
  /// A map with copies of these items.
  template <class K, class V>
  DictProxy<K, V> dict(const std::map<K, V>& items = {}) const {
    return DictProxy<K, V>(made<std::map<K, V>>(items));
  }
  /// A sequence with copies of these items.
  template <class T>
  ListProxy<T> list(const std::vector<T>& items = {}) const {
    return ListProxy<T>(made<std::vector<T>>(items));
  }
  /// So many zeros, or copies of these items.
  template <class T>
  ArrayProxy<T> array(std::size_t n) const {
    return array(std::vector<T>(n));
  }
  template <class T>
  ArrayProxy<T> array(const std::vector<T>& items) const {
    return ArrayProxy<T>(made<std::vector<T>>(items));
  }
  template <class T>
  ArrayProxy<T> array(std::initializer_list<T> items) const {
    return array(std::vector<T>(items));
  }
  /// A single value. Text in quotes becomes a std::string.
  template <class T>
  ValueProxy<detail::KeptAs<T>> value(const T& initial) const {
    using Kept = detail::KeptAs<T>;
    return ValueProxy<Kept>(made<Kept>(initial));
  }
  /// A namespace without any names.
  template <class N = detail::Names>
  NamespaceProxy ns() const {
    return NamespaceProxy(made<N>());
  }
  /// The namespace that all who use this server have in common, also those who have connected by
  /// its address: here they find each other's proxies.
  NamespaceProxy names() const {
    return NamespaceProxy(detail::ProxyHandle::receive(link(), detail::names_object));
  }

  /// What hoist/queue_proxy.hpp and hoist/sync_proxy.hpp have: shared memory of the server's
  /// machine. Errors are those of the constructors, too. Templates, so that a program compiles only
  /// those that it calls.
  template <class T>
  QueueProxy<T> queue(std::size_t maxsize = 0) const {
    return QueueProxy<T>(made<Queue<T>>(maxsize));
  }
  template <class T>
  JoinableQueueProxy<T> joinable_queue(std::size_t maxsize = 0) const {
    return JoinableQueueProxy<T>(made<JoinableQueue<T>>(maxsize));
  }
  template <class L = Lock>
  LockProxy<L> lock() const {
    return LockProxy<L>(made<L>());
  }
  template <class L = RLock>
  LockProxy<L> rlock() const {
    return LockProxy<L>(made<L>());
  }
  template <class S = Semaphore>
  SemaphoreProxy<S> semaphore(std::ptrdiff_t value = 1) const {
    return SemaphoreProxy<S>(made<S>(value));
  }
  template <class S = BoundedSemaphore>
  SemaphoreProxy<S> bounded_semaphore(std::ptrdiff_t value = 1) const {
    return SemaphoreProxy<S>(made<S>(value));
  }
  template <class E = Event>
  BasicEventProxy<E> event() const {
    return BasicEventProxy<E>(made<E>());
  }
  /// With a new RLock.
  template <class C = Condition>
  BasicConditionProxy<C> condition() const {
    return BasicConditionProxy<C>(made<C>());
  }
  template <class B = Barrier>
  BasicBarrierProxy<B> barrier(std::ptrdiff_t parties) const {
    return BasicBarrierProxy<B>(made<B>(parties));
  }
  /// With an action, as Barrier has one. It is done where the last party is: by its agent, if that
  /// has connected by address.
  template <class F>
  BarrierProxy barrier(std::ptrdiff_t parties, const F& action) const {
    return BarrierProxy(made<Barrier>(parties, action));
  }

 private:
  explicit Manager(std::unique_ptr<detail::managers::ManagerServer> server) noexcept;
  const detail::ManagerLink& link() const;
  template <class C, class... Args>
  detail::ProxyHandle made(const Args&... args) const {
    return detail::ProxyHandle::make<C>(link(), args...);
  }

  std::unique_ptr<detail::managers::ManagerServer> server_;
};

}  // namespace hoist
