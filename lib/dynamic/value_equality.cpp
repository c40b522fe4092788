// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/value.hpp>

#include <algorithm>
#include <complex>
#include <cstring>
#include <unordered_map>

#include "dynamic/elements.hpp"
#include "dynamic/value_node.hpp"

namespace hoist {

namespace detail::dynamic {

namespace {

bool same_elements(const Value::Elements& a, const Value::Elements& b) {
  if (a.shape != b.shape) return false;
  const DType common = packed(a.dtype);
  if (!(common == packed(b.dtype))) return false;
  const auto x = converted(a, common, true), y = converted(b, common, true);
  return x.nbytes() == 0 || std::memcmp(x.data, y.data, x.nbytes()) == 0;
}

/// A key with the hash of all that equal it: -0.0 equals 0.0, but has another hash.
Value with_one_zero(const Value& key, int depth = 0) {
  if (depth > max_depth) throw_too_deep();
  using enum Value::Kind;
  switch (key.kind()) {
    case real: return key.as_double() == 0 ? Value(0.0) : key;
    case Value::Kind::complex: return key.as_complex() + std::complex<double>();
    case Value::Kind::tuple:
    case frozen_set: {
      std::vector<Value> items;
      items.reserve(key.size());
      for (const Value& item : key.items()) items.push_back(with_one_zero(item, depth + 1));
      return Value::sequence(key.kind(), std::move(items));
    }
    default: return key;
  }
}

Digest digest_of(const Value& key) {
  Hasher hasher;
  hash_value(hasher, with_one_zero(key));
  return hasher.digest();
}

class Comparison {
 public:
  bool equal(const Value& a, const Value& b) {
    if (a.kind() != b.kind()) return false;
    if (a.node() != nullptr && a.node() == b.node()) return true;
    using enum Value::Kind;
    switch (a.kind()) {
      case Value::Kind::none: return true;
      case boolean: return a.as_bool() == b.as_bool();
      case integer: return a.as_int() == b.as_int();
      case natural: return a.as_uint() == b.as_uint();
      case real: return a.as_double() == b.as_double();
      case Value::Kind::complex: return a.as_complex() == b.as_complex();
      case text: return a.as_text() == b.as_text();
      case Value::Kind::bytes:
      case big_integer: return a.as_bytes() == b.as_bytes();
      case array: return same_elements(a.elements(), b.elements());
      case Value::Kind::scalar: return a.dtype() == b.dtype() && a.as_bytes() == b.as_bytes();
      case Value::Kind::dtype: return a.dtype() == b.dtype();
      case date:
      case time:
      case datetime: return a.as_moment() == b.as_moment();
      default: return same_parts(a, b);
    }
  }

 private:
  bool same_parts(const Value& a, const Value& b) {
    if (a.size() != b.size()) return false;
    if (++depth_ > max_depth) throw_too_deep();
    const bool same = equal_parts(a, b);
    --depth_;
    return same;
  }

  bool equal_parts(const Value& a, const Value& b) {
    switch (a.kind()) {
      case Value::Kind::dict:
        return in_order(a.entries(), b.entries()) ||
               in_any_order(a.entries(), b.entries(), [](const auto& e) { return e.first; });
      case Value::Kind::set:
      case Value::Kind::frozen_set:
        return in_order(a.items(), b.items()) ||
               in_any_order(a.items(), b.items(), [](const Value& item) { return item; });
      case Value::Kind::objects: return a.shape() == b.shape() && in_order(a.items(), b.items());
      default: return in_order(a.items(), b.items());
    }
  }

  bool equal(const Value::Entry& a, const Value::Entry& b) {
    return equal(a.first, b.first) && equal(a.second, b.second);
  }

  template <class Range>
  bool in_order(const Range& a, const Range& b) {
    return std::ranges::equal(a, b, [this](const auto& x, const auto& y) { return equal(x, y); });
  }

  template <class Range, class Key>
  bool in_any_order(const Range& a, const Range& b, Key key) {
    std::unordered_multimap<Digest, const typename Range::value_type*> known;
    for (const auto& part : a) known.emplace(digest_of(key(part)), &part);
    for (const auto& part : b) {
      const auto [from, to] = known.equal_range(digest_of(key(part)));
      const auto found =
          std::find_if(from, to, [&](const auto& one) { return equal(*one.second, part); });
      if (found == to) return false;
      known.erase(found);
    }
    return true;
  }

  int depth_ = 0;
};

}  // namespace

}  // namespace detail::dynamic

bool operator==(const Value& a, const Value& b) {
  return detail::dynamic::Comparison().equal(a, b);
}

}  // namespace hoist
