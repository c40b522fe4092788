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
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// A server for objects that processes use through proxies, after Python's multiprocessing.Manager;
// hoist/proxy.hpp has the other proxies.

namespace hoist {

/// Named values of any types in a server. A value is got as the type that it was set as.
class NamespaceProxy : public Proxy<std::map<std::string, std::any>> {
  using Names = std::map<std::string, std::any>;

 public:
  NamespaceProxy() = default;
  explicit NamespaceProxy(detail::ProxyHandle handle) : Proxy(std::move(handle)) {}

  /// Text in quotes becomes a std::string.
  template <class T>
  void set(const std::string& name, const T& value) const {
    using Kept = detail::KeptAs<T>;
    call([](Names& names, const std::string& to, const Kept& it) { names[to] = it; }, name,
         Kept(value));
  }
  /// Throws NotFound where there is no such name, WrongType where its value isn't a T.
  template <class T>
  T get(const std::string& name) const {
    return call(
        [](const Names& names, const std::string& wanted) {
          const auto found = names.find(wanted);
          if (found == names.end()) throw NotFound("the namespace has no \"" + wanted + "\"");
          const T* const value = std::any_cast<T>(&found->second);
          if (value == nullptr) throw WrongType("\"" + wanted + "\" was set to another type");
          return *value;
        },
        name);
  }
  [[nodiscard]] bool contains(const std::string& name) const {
    return call(
        [](const Names& names, const std::string& wanted) { return names.contains(wanted); }, name);
  }
  bool erase(const std::string& name) const {
    return call([](Names& names, const std::string& unwanted) { return names.erase(unwanted) > 0; },
                name);
  }
};

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

  /// Ends the server, if this has started it. Its objects are gone: proxies throw ManagerDied, the
  /// functions below BadArgument. Does nothing the second time.
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
  /// A map with copies of these items. All of these throw ManagerDied, CannotTravel for what can't
  /// be sent, and what the constructor throws in the server; BadArgument after shutdown().
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
  /// Text in quotes becomes a std::string.
  template <class T>
  ValueProxy<detail::KeptAs<T>> value(const T& initial) const {
    using Kept = detail::KeptAs<T>;
    return ValueProxy<Kept>(made<Kept>(initial));
  }
  /// Without any names.
  NamespaceProxy ns() const { return NamespaceProxy(made<std::map<std::string, std::any>>()); }

  // These need no server: they lie in shared memory, and so can't be sent to other machines.
  template <class T>
  Queue<T> queue(std::size_t maxsize = 0) const {
    return Queue<T>(maxsize);
  }
  template <class T>
  JoinableQueue<T> joinable_queue(std::size_t maxsize = 0) const {
    return JoinableQueue<T>(maxsize);
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
