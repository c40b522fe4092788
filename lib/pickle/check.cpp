// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "pickle/machine.hpp"
#include "pickle/pickle.hpp"

namespace hoist::detail::pickle {

namespace {

struct Seen {
  bool open = true;
  std::size_t height = 0;
  std::uint64_t expanded = 1;
};

std::size_t count_of(const Value& value) {
  if (value.kind() == dynamic::Kind::dict) return 2 * value.entries().size();
  return value.items().size();
}

const Value& part_of(const Value& value, std::size_t i) {
  if (value.kind() != dynamic::Kind::dict) return value.items()[i];
  const auto& entry = value.entries()[i / 2];
  return i % 2 == 0 ? entry.first : entry.second;
}

bool has_parts(const Value& value) {
  switch (value.kind()) {
    case dynamic::Kind::list:
    case dynamic::Kind::tuple:
    case dynamic::Kind::set:
    case dynamic::Kind::frozen_set:
    case dynamic::Kind::dict:
    case dynamic::Kind::slice:
    case dynamic::Kind::range:
    case dynamic::Kind::objects: return true;
    default: return false;
  }
}

/// Text that is equal for keys that Python holds equal: 1, 1.0 and True are one key.
std::string key_text(const Value& key) {
  const auto integer = [](std::int64_t n) { return "i" + std::to_string(n); };
  switch (key.kind()) {
    case dynamic::Kind::text: return "t" + std::string(key.as_text());
    case dynamic::Kind::integer: return integer(key.as_int());
    case dynamic::Kind::boolean: return integer(key.as_bool() ? 1 : 0);
    case dynamic::Kind::real: {
      const double number = key.as_double();
      const bool whole = number >= -0x1p63 && number < 0x1p63 &&
                         static_cast<double>(static_cast<std::int64_t>(number)) == number;
      if (whole) return integer(static_cast<std::int64_t>(number));
      break;
    }
    case dynamic::Kind::complex:
      if (key.as_complex().imag() == 0) return key_text(Value(key.as_complex().real()));
      break;
    case dynamic::Kind::tuple:
    case dynamic::Kind::frozen_set: {
      std::vector<std::string> parts;
      for (const Value& item : key.items()) parts.push_back(key_text(item));
      if (key.kind() == dynamic::Kind::frozen_set) std::ranges::sort(parts);
      Hasher hasher;
      for (const std::string& part : parts) {
        hasher.length(part.size());
        hasher.block(part.data(), part.size());
      }
      return (key.kind() == dynamic::Kind::tuple ? "(" : "{") + hasher.digest().hex();
    }
    default: break;
  }
  Hasher hasher;
  hash_value(hasher, key);
  return "h" + hasher.digest().hex();
}

/// The members of a structure, say: keys that are seen to be different without much ado.
bool are_few_names(const std::vector<Value::Entry>& entries) {
  constexpr std::size_t few = 16;
  if (entries.size() > few) return false;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].first.kind() != dynamic::Kind::text) return entries.size() == 1;
    for (std::size_t k = 0; k < i; ++k) {
      if (entries[k].first.as_text() == entries[i].first.as_text()) return false;
    }
  }
  return true;
}

/// A key set again keeps its place and takes the new value.
void merge_keys(const Value& value) {
  auto& entries = dynamic::mutable_node<dynamic::DictNode>(value).entries;
  if (are_few_names(entries)) return;
  std::unordered_map<std::string, std::size_t> places;
  places.reserve(entries.size());
  std::size_t kept = 0;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const auto [at, is_new] = places.emplace(key_text(entries[i].first), kept);
    if (!is_new) {
      entries[at->second].second = std::move(entries[i].second);
    } else {
      if (kept != i) entries[kept] = std::move(entries[i]);
      ++kept;
    }
  }
  entries.resize(kept);
}

}  // namespace

std::unordered_set<const Value::Node*> repeated_parts(const Value& value) {
  struct Frame {
    const Value* value;
    std::size_t next;
  };
  std::unordered_set<const Value::Node*> seen;
  std::unordered_set<const Value::Node*> repeated;
  std::vector<Frame> stack;
  const auto enter = [&](const Value& part) {
    const bool parts = has_parts(part);
    if (!parts && part.kind() != dynamic::Kind::array && part.kind() != dynamic::Kind::bytes)
      return;
    // What has no copies anywhere need not be remembered.
    if (part.is_shared() && !seen.insert(part.node()).second) {
      repeated.insert(part.node());
    } else if (parts) {
      stack.push_back({&part, 0});
    }
  };
  enter(value);
  while (!stack.empty()) {
    Frame& frame = stack.back();
    if (frame.next < count_of(*frame.value)) {
      enter(part_of(*frame.value, frame.next++));
    } else {
      stack.pop_back();
    }
  }
  return repeated;
}

std::uint64_t check_value(Value& value, const Limits& limits, Fail fail,
                          const std::function<void(const std::string&)>& over) {
  struct Frame {
    const Value* value;
    std::size_t next;
    Seen so_far;
  };
  std::unordered_map<const Value::Node*, Seen> seen;  // what more than one can come to
  std::vector<Frame> stack;
  const auto leaf = [&](const Value& part) {
    if (is_latin1(part)) dynamic::node_as<dynamic::TextNode>(part).widen();
    const bool unbuilt_array = part.kind() == dynamic::Kind::array &&
                               is_unbuilt(dynamic::node_as<dynamic::ArrayNode>(part));
    const bool unbuilt_dtype =
        part.kind() == dynamic::Kind::dtype && !dynamic::node_as<dynamic::DTypeNode>(part).built;
    if (part.kind() == dynamic::Kind::internal || unbuilt_array || unbuilt_dtype) {
      fail("a part of the value was left unfinished");
    }
  };
  const auto enter = [&](const Value& part) {
    if (part.is_shared()) seen.emplace(part.node(), Seen{});
    stack.push_back({&part, 0, {}});
    if (stack.size() > limits.max_depth) over("its values nest deeper than Limits::max_depth");
  };
  const auto add = [&](Seen& to, const Seen& inner) {
    to.height = std::max(to.height, inner.height + 1);
    to.expanded += inner.expanded;  // each is under the limit: no overflow
    if (to.expanded > limits.max_expanded) {
      over("written out without sharing, its values are more than Limits::max_expanded");
    }
    if (to.height > limits.max_depth) over("its values nest deeper than Limits::max_depth");
  };
  if (!has_parts(value)) {
    leaf(value);
    return 1;
  }
  std::uint64_t expanded = 0;
  enter(value);
  while (!stack.empty()) {
    Frame& frame = stack.back();
    const Value& at = *frame.value;
    if (frame.next < count_of(at)) {
      const Value& part = part_of(at, frame.next++);
      if (!has_parts(part)) {
        leaf(part);
        ++frame.so_far.expanded;
      } else if (const auto known = seen.find(part.node()); known == seen.end()) {
        enter(part);
      } else if (known->second.open) {
        fail("a container holds itself, which a Value can't");
      } else {
        add(frame.so_far, known->second);
      }
      continue;
    }
    if (at.kind() == dynamic::Kind::dict) merge_keys(at);
    Seen done = frame.so_far;
    done.open = false;
    if (const auto known = seen.find(at.node()); known != seen.end()) known->second = done;
    stack.pop_back();
    if (!stack.empty()) add(stack.back().so_far, done);
    expanded = done.expanded;
  }
  return expanded;
}

}  // namespace hoist::detail::pickle
