// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/error.hpp>

#include <algorithm>
#include <any>
#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

// What the functions of proxies do in the server. Each is a class without members: the type says
// all, so nothing of it is sent.

namespace hoist::detail {

template <class K, class V>
struct DictCalls {
  using Map = std::map<K, V>;

  [[noreturn]] static void throw_no_key() { throw NotFound("the managed dict has no such key"); }

  struct Get {
    V operator()(const Map& map, const K& key) const {
      const auto found = map.find(key);
      if (found == map.end()) throw_no_key();
      return found->second;
    }
  };
  struct GetOr {
    V operator()(const Map& map, const K& key, const V& otherwise) const {
      const auto found = map.find(key);
      return found == map.end() ? otherwise : found->second;
    }
  };
  struct Set {
    void operator()(Map& map, const K& key, const V& value) const {
      map.insert_or_assign(key, value);
    }
  };
  struct SetDefault {
    V operator()(Map& map, const K& key, const V& otherwise) const {
      return map.try_emplace(key, otherwise).first->second;
    }
  };
  struct Pop {
    V operator()(Map& map, const K& key) const {
      auto node = map.extract(key);
      if (!node) throw_no_key();
      return std::move(node.mapped());
    }
  };
  struct Erase {
    bool operator()(Map& map, const K& key) const { return map.erase(key) > 0; }
  };
  struct Contains {
    bool operator()(const Map& map, const K& key) const { return map.contains(key); }
  };
  struct Size {
    std::size_t operator()(const Map& map) const { return map.size(); }
  };
  struct Keys {
    std::vector<K> operator()(const Map& map) const {
      std::vector<K> keys;
      for (const auto& [key, value] : map) keys.push_back(key);
      return keys;
    }
  };
  struct Items {
    Map operator()(const Map& map) const { return map; }
  };
  struct Update {
    void operator()(Map& map, const Map& more) const {
      for (const auto& [key, value] : more) map.insert_or_assign(key, value);
    }
  };
  struct Clear {
    void operator()(Map& map) const { map.clear(); }
  };
};

template <class T>
struct ListCalls {
  using List = std::vector<T>;

  /// The place of an index below `end`.
  static auto find(auto& list, std::size_t index, std::size_t end) {
    if (index >= end) {
      throw BadArgument("index " + std::to_string(index) + " of a managed sequence of " +
                        std::to_string(list.size()));
    }
    return list.begin() + static_cast<std::ptrdiff_t>(index);
  }

  struct Append {
    void operator()(List& list, const T& item) const { list.push_back(item); }
  };
  struct Extend {
    void operator()(List& list, const List& items) const {
      list.insert(list.end(), items.begin(), items.end());
    }
  };
  struct At {
    T operator()(const List& list, std::size_t index) const {
      return *find(list, index, list.size());
    }
  };
  struct Set {
    void operator()(List& list, std::size_t index, const T& item) const {
      *find(list, index, list.size()) = item;
    }
  };
  struct Size {
    std::size_t operator()(const List& list) const { return list.size(); }
  };
  struct Pop {
    T operator()(List& list) const {
      if (list.empty()) throw BadArgument("pop() of an empty managed list");
      T last(list.back());
      list.pop_back();
      return last;
    }
  };
  struct Insert {
    void operator()(List& list, std::size_t index, const T& item) const {
      list.insert(find(list, index, list.size() + 1), item);
    }
  };
  struct Erase {
    void operator()(List& list, std::size_t index) const {
      list.erase(find(list, index, list.size()));
    }
  };
  struct Clear {
    void operator()(List& list) const { list.clear(); }
  };
  struct Sort {
    void operator()(List& list) const { std::sort(list.begin(), list.end()); }
  };
  struct SortBy {
    template <class Less>
    void operator()(List& list, const Less& less) const {
      std::sort(list.begin(), list.end(),
                [&](const T& a, const T& b) { return std::invoke(less, a, b); });
    }
  };
  struct Reverse {
    void operator()(List& list) const { std::reverse(list.begin(), list.end()); }
  };
  struct Slice {
    List operator()(const List& list, std::size_t first, std::size_t last) const {
      last = std::min(last, list.size());
      first = std::min(first, last);
      return List(find(list, first, last + 1), find(list, last, last + 1));
    }
  };
};

template <class T>
struct ValueCalls {
  struct Get {
    T operator()(const T& value) const { return value; }
  };
  struct Set {
    void operator()(T& value, const T& to) const { value = to; }
  };
};

using Names = std::map<std::string, std::any>;

template <class T>
struct NameCalls {
  struct Set {
    void operator()(Names& names, const std::string& name, const T& value) const {
      names[name] = value;
    }
  };
  struct Get {
    T operator()(const Names& names, const std::string& name) const {
      const auto found = names.find(name);
      if (found == names.end()) throw NotFound("the namespace has no \"" + name + "\"");
      const T* const value = std::any_cast<T>(&found->second);
      if (value == nullptr) throw WrongType("\"" + name + "\" was set to another type");
      return *value;
    }
  };
};

}  // namespace hoist::detail
