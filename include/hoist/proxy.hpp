// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/detail/managed.hpp>
#include <hoist/detail/proxy_calls.hpp>

#include <concepts>
#include <cstddef>
#include <map>
#include <utility>
#include <vector>

// Objects that live in a process of their own, the server, and are used through proxies, after
// Python's multiprocessing.Manager: for state that is too rich for shared memory.
//
// Proxies are handles, like locks (hoist/lock.hpp): a copy, and what tasks and processes get of
// one, is a proxy of the same object; proxies can be stored in managed objects. An object lives as
// long as a proxy of it in any process, and for a minute after one was sent: what is received later
// than that and was the last is NotFound.
//
// All functions may be called from several threads and processes at a time; the calls of one object
// are made one after another. A function that is called may call managed objects in turn, its own
// as well; where objects call each other at the same time, one call is made in the middle of
// another, while that waits for it. What a call throws in the server, the caller gets as itself.
// ManagerDied is thrown once the server has ended, also by calls that wait at that moment; there is
// no other time limit. Results are copies. A call, and to send or receive a proxy, costs a round
// trip between two processes; each thread that calls has a connection to the server.

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
/// Each function is a call, and costs what that does, however large the map is; keys() and items()
/// send all of it at once.
template <class K, class V>
class DictProxy : public Proxy<std::map<K, V>> {
  using Map = std::map<K, V>;
  using Calls = detail::DictCalls<K, V>;

 public:
  /// Of no object.
  DictProxy() = default;
  explicit DictProxy(detail::ProxyHandle handle) : Proxy<Map>(std::move(handle)) {}

  /// The value of a key. Throws NotFound where there is no such key.
  V get(const K& key) const { return this->call(typename Calls::Get(), key); }
  /// Likewise; `otherwise` where there is none.
  V get(const K& key, const V& otherwise) const {
    return this->call(typename Calls::GetOr(), key, otherwise);
  }
  /// Adds the key, or replaces its value.
  void set(const K& key, const V& value) const { this->call(typename Calls::Set(), key, value); }
  /// The value of the key, which is first set to `otherwise` if there is none.
  V setdefault(const K& key, const V& otherwise) const {
    return this->call(typename Calls::SetDefault(), key, otherwise);
  }
  /// Removes a key and returns its value. Throws NotFound where there is none.
  V pop(const K& key) const { return this->call(typename Calls::Pop(), key); }
  /// Removes a key. Whether there was one.
  bool erase(const K& key) const { return this->call(typename Calls::Erase(), key); }
  /// Whether there is such a key.
  [[nodiscard]] bool contains(const K& key) const {
    return this->call(typename Calls::Contains(), key);
  }
  /// How many keys there are.
  [[nodiscard]] std::size_t size() const { return this->call(typename Calls::Size()); }
  /// Copies of all keys, in order.
  [[nodiscard]] std::vector<K> keys() const { return this->call(typename Calls::Keys()); }
  /// A copy of all.
  [[nodiscard]] Map items() const { return this->call(typename Calls::Items()); }
  /// Sets all of these.
  void update(const Map& more) const { this->call(typename Calls::Update(), more); }
  /// Removes all keys.
  void clear() const { this->call(typename Calls::Clear()); }
};

/// A sequence in a server, as a std::vector: append() and pop() are cheap there, insert() and
/// erase() move what follows. Functions with an index, counted from 0, throw BadArgument where
/// there is no such item.
template <class T>
class ListProxy : public Proxy<std::vector<T>> {
  using Calls = detail::ListCalls<T>;

 public:
  /// Of no object.
  ListProxy() = default;
  explicit ListProxy(detail::ProxyHandle handle) : Proxy<std::vector<T>>(std::move(handle)) {}

  /// Adds an item at the end.
  void append(const T& item) const { this->call(typename Calls::Append(), item); }
  /// Adds these items at the end, in one step.
  void extend(const std::vector<T>& items) const { this->call(typename Calls::Extend(), items); }
  /// A copy of an item.
  T at(std::size_t index) const { return this->call(typename Calls::At(), index); }
  /// Replaces an item.
  void set(std::size_t index, const T& item) const {
    this->call(typename Calls::Set(), index, item);
  }
  /// How many items there are.
  [[nodiscard]] std::size_t size() const { return this->call(typename Calls::Size()); }
  /// Removes the last item and returns it. Throws BadArgument where there is none.
  T pop() const { return this->call(typename Calls::Pop()); }
  /// Puts an item before that index, which may be the end.
  void insert(std::size_t index, const T& item) const {
    this->call(typename Calls::Insert(), index, item);
  }
  /// Removes an item.
  void erase(std::size_t index) const { this->call(typename Calls::Erase(), index); }
  /// Removes all items.
  void clear() const { this->call(typename Calls::Clear()); }
  /// Sorts the items by their operator<, or by a function that tells whether one precedes another.
  void sort() const { this->call(typename Calls::Sort()); }
  template <class Less>
  void sort(const Less& less) const {
    this->call(typename Calls::SortBy(), less);
  }
  void reverse() const { this->call(typename Calls::Reverse()); }
  /// Copies of the items from `first` up to and without `last`, as far as there are any.
  [[nodiscard]] std::vector<T> slice(std::size_t first, std::size_t last) const {
    return this->call(typename Calls::Slice(), first, last);
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
  using Calls = detail::ValueCalls<T>;

 public:
  /// Of nothing; `Manager::value` makes others.
  ValueProxy() = default;
  explicit ValueProxy(detail::ProxyHandle handle) : Proxy<T>(std::move(handle)) {}

  /// A copy of it.
  T get() const { return this->call(typename Calls::Get()); }
  /// Replaces it.
  void set(const T& value) const { this->call(typename Calls::Set(), value); }
};

/// Named values of any types in a server. A value is got as the type that it was set as.
/// (A template, so that a program compiles only what it uses of it.)
template <std::same_as<detail::Names> N>
class BasicNamespaceProxy : public Proxy<N> {
 public:
  BasicNamespaceProxy() = default;
  explicit BasicNamespaceProxy(detail::ProxyHandle handle) : Proxy<N>(std::move(handle)) {}

  /// Sets a name to a copy of a value, of whatever type it was before. Text in quotes becomes a
  /// std::string.
  template <class T>
  void set(const std::string& name, const T& value) const {
    using Kept = detail::KeptAs<T>;
    this->call(typename detail::NameCalls<Kept>::Set(), name, Kept(value));
  }
  /// A copy of a value. Throws NotFound where there is no such name, WrongType where its value
  /// isn't a T.
  template <class T>
  T get(const std::string& name) const {
    return this->call(typename detail::NameCalls<T>::Get(), name);
  }
  /// Whether there is such a name.
  [[nodiscard]] bool contains(const std::string& name) const {
    return this->call(typename Calls::Contains(), name);
  }
  /// Removes a name. Whether there was one.
  bool erase(const std::string& name) const { return this->call(typename Calls::Erase(), name); }

 private:
  using Calls = detail::DictCalls<typename N::key_type, typename N::mapped_type>;
};
/// The proxy of a namespace.
using NamespaceProxy = BasicNamespaceProxy<detail::Names>;

}  // namespace hoist
