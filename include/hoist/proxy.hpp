// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/detail/managed.hpp>
#include <hoist/error.hpp>

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

// Objects that live in a process of their own, the server, and are used through proxies, after
// Python's multiprocessing.Manager: for state that is too rich for shared memory.
//
// Proxies are handles, like locks (hoist/lock.hpp): a copy, and what tasks and processes get of
// one, is a proxy of the same object; proxies can be stored in managed objects. An object lives as
// long as a proxy of it in any process, and for a minute after one was sent: what is received later
// than that and was the last is NotFound. All functions may be called from several threads and
// processes at a time; the calls of one object are made one after another, and a function that is
// called must not wait for another call of its object. What a call throws in the server, the caller
// gets as itself. ManagerDied is thrown once the server has ended, also by calls that wait at that
// moment; there is no other time limit. Results are copies. A call, and to send or receive a proxy,
// costs a round trip between two processes; each thread that calls has a pipe to the server.

namespace hoist {

/// Any object in a server.
template <class C>
class Proxy : public detail::ProxyHandle {
 public:
  Proxy() = default;
  explicit Proxy(ProxyHandle handle) : ProxyHandle(std::move(handle)) {}

  /// Calls a member function, or any function that takes a C& first, with the object in the server,
  /// and returns a copy of its result. Function, arguments and result must travel, as those of
  /// tasks do. While it runs, other calls of the object wait.
  template <class F, class... Args>
  auto call(const F& f, const Args&... args) const {
    return call_object<C>(f, args...);
  }
};

/// A map in a server, in the order of its keys, which must have an operator<. Keys and values
/// travel as copies; to change a value in place, use call(), which is one step for everybody else.
/// Each function is a call, and costs what that does; items() costs one for all.
template <class K, class V>
class DictProxy : public Proxy<std::map<K, V>> {
  using Map = std::map<K, V>;

 public:
  DictProxy() = default;
  explicit DictProxy(detail::ProxyHandle handle) : Proxy<Map>(std::move(handle)) {}

  /// Throws NotFound where there is no such key.
  V get(const K& key) const {
    return this->call(
        [](const Map& map, const K& wanted) {
          const auto found = map.find(wanted);
          if (found == map.end()) throw NotFound("the managed dict has no such key");
          return found->second;
        },
        key);
  }
  /// Likewise; `otherwise` where there is none.
  V get(const K& key, const V& otherwise) const {
    return this->call(
        [](const Map& map, const K& wanted, const V& value) {
          const auto found = map.find(wanted);
          return found == map.end() ? value : found->second;
        },
        key, otherwise);
  }
  /// Adds the key, or replaces its value.
  void set(const K& key, const V& value) const {
    this->call([](Map& map, const K& to, const V& it) { map.insert_or_assign(to, it); }, key,
               value);
  }
  /// The value of the key, which is first set to `otherwise` if there is none.
  V setdefault(const K& key, const V& otherwise) const {
    return this->call(
        [](Map& map, const K& wanted, const V& value) {
          return V(map.try_emplace(wanted, value).first->second);
        },
        key, otherwise);
  }
  /// Removes a key and returns its value. Throws NotFound where there is none.
  V pop(const K& key) const {
    return this->call(
        [](Map& map, const K& wanted) {
          auto node = map.extract(wanted);
          if (!node) throw NotFound("the managed dict has no such key");
          return V(std::move(node.mapped()));
        },
        key);
  }
  /// Whether there was such a key.
  bool erase(const K& key) const {
    return this->call([](Map& map, const K& unwanted) { return map.erase(unwanted) > 0; }, key);
  }
  [[nodiscard]] bool contains(const K& key) const {
    return this->call([](const Map& map, const K& wanted) { return map.contains(wanted); }, key);
  }
  [[nodiscard]] std::size_t size() const {
    return this->call([](const Map& map) { return map.size(); });
  }
  /// Copies of all keys, in order.
  [[nodiscard]] std::vector<K> keys() const {
    return this->call([](const Map& map) {
      std::vector<K> all;
      for (const auto& [key, value] : map) all.push_back(key);
      return all;
    });
  }
  /// A copy of all.
  [[nodiscard]] Map items() const {
    return this->call([](const Map& map) { return map; });
  }
  /// Sets all of these.
  void update(const Map& more) const {
    this->call(
        [](Map& map, const Map& values) {
          for (const auto& [key, value] : values) map.insert_or_assign(key, value);
        },
        more);
  }
  void clear() const {
    this->call([](Map& map) { map.clear(); });
  }
};

/// A sequence in a server, as a std::vector: append() and pop() are cheap there, insert() and
/// erase() move what follows. Functions with an index throw BadArgument where there is no such
/// item.
template <class T>
class ListProxy : public Proxy<std::vector<T>> {
 protected:
  using List = std::vector<T>;
  static void check(const List& list, std::size_t index) {
    if (index >= list.size()) {
      throw BadArgument("index " + std::to_string(index) + " of a managed sequence of " +
                        std::to_string(list.size()));
    }
  }

 public:
  ListProxy() = default;
  explicit ListProxy(detail::ProxyHandle handle) : Proxy<List>(std::move(handle)) {}

  void append(const T& item) const {
    this->call([](List& list, const T& it) { list.push_back(it); }, item);
  }
  void extend(const std::vector<T>& items) const {
    this->call(
        [](List& list, const List& more) { list.insert(list.end(), more.begin(), more.end()); },
        items);
  }
  T at(std::size_t index) const {
    return this->call(
        [](const List& list, std::size_t i) {
          check(list, i);
          return T(list[i]);
        },
        index);
  }
  void set(std::size_t index, const T& item) const {
    this->call(
        [](List& list, std::size_t i, const T& it) {
          check(list, i);
          list[i] = it;
        },
        index, item);
  }
  [[nodiscard]] std::size_t size() const {
    return this->call([](const List& list) { return list.size(); });
  }
  /// Removes the last item and returns it.
  T pop() const {
    return this->call([](List& list) {
      if (list.empty()) throw BadArgument("pop() of an empty managed list");
      T last(list.back());
      list.pop_back();
      return last;
    });
  }
  /// Puts an item before that index, which may be the end.
  void insert(std::size_t index, const T& item) const {
    this->call(
        [](List& list, std::size_t i, const T& it) {
          if (i != list.size()) check(list, i);
          list.insert(list.begin() + static_cast<std::ptrdiff_t>(i), it);
        },
        index, item);
  }
  void erase(std::size_t index) const {
    this->call(
        [](List& list, std::size_t i) {
          check(list, i);
          list.erase(list.begin() + static_cast<std::ptrdiff_t>(i));
        },
        index);
  }
  void clear() const {
    this->call([](List& list) { list.clear(); });
  }
  /// Copies of the items from `first` up to and without `last`, as far as there are any.
  [[nodiscard]] std::vector<T> slice(std::size_t first, std::size_t last) const {
    return this->call(
        [](const List& list, std::size_t from, std::size_t to) {
          to = std::min(to, list.size());
          from = std::min(from, to);
          return List(list.begin() + static_cast<std::ptrdiff_t>(from),
                      list.begin() + static_cast<std::ptrdiff_t>(to));
        },
        first, last);
  }
  /// A copy of all.
  [[nodiscard]] std::vector<T> items() const { return slice(0, static_cast<std::size_t>(-1)); }
};

/// A sequence in a server whose length is meant to stay.
template <class T>
class ArrayProxy : public ListProxy<T> {
 public:
  ArrayProxy() = default;
  explicit ArrayProxy(detail::ProxyHandle handle) : ListProxy<T>(std::move(handle)) {}
};

/// A single value in a server. get() and set() are one step each; use call() to do both in one.
template <class T>
class ValueProxy : public Proxy<T> {
 public:
  ValueProxy() = default;
  explicit ValueProxy(detail::ProxyHandle handle) : Proxy<T>(std::move(handle)) {}
  T get() const {
    return this->call([](const T& value) { return value; });
  }
  void set(const T& value) const {
    this->call([](T& it, const T& to) { it = to; }, value);
  }
};

}  // namespace hoist
