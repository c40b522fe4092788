// SPDX-License-Identifier: BSD-3-Clause
#include "pickle/survey.hpp"

#include <hoist/error.hpp>

#include <algorithm>
#include <bit>
#include <memory>

// The stack, the containers and the memo.

namespace hoist::detail::pickle {

// --- the stack -----------------------------------------------------------------------------------

void Survey::push(Kind kind, std::uint64_t number) {
  if (stack_.size() >= most_) throw NoOutline();
  stack_.emplace_back(kind, number);
}

/// Text of `n` bytes that comes next.
void Survey::push_text(std::size_t n) {
  newest_ ^= 1U;
  text().resize(n);
  in_.get(text().data(), n);
  push(Kind::hashed, hash_of(text()));
  text_on_top_ = true;
}

/// Python holds 1.0 and 1 to be one key.
void Survey::push_real(double value) {
  const bool whole = value >= -0x1p63 && value < 0x1p63 &&
                     static_cast<double>(static_cast<std::int64_t>(value)) == value;
  whole ? push_integer(static_cast<std::int64_t>(value))
        : push(Kind::hashed, std::bit_cast<std::uint64_t>(value));
}

std::size_t Survey::last(std::size_t n) const {
  const std::size_t bottom = marks_.empty() ? 0 : marks_.back();
  if (stack_.size() - bottom < n) throw NoOutline();
  return stack_.size() - n;
}

Slot Survey::pop() {
  const Slot slot = stack_[last(1)];
  stack_.pop_back();
  return slot;
}

std::size_t Survey::pop_mark() {
  if (marks_.empty()) throw NoOutline();
  const std::size_t first = marks_.back();
  marks_.pop_back();
  return first;
}

void Survey::drop(std::size_t first) {
  while (stack_.size() > first) {
    const Slot slot = stack_.back();
    if (slot.kind == Kind::container) give_whole(slot.number);
    end_container(slot, Container::none);
    stack_.pop_back();
  }
}

void Survey::make_tuple(std::size_t first) {
  std::uint64_t hash = stack_.size() - first;
  bool hashed = true;
  for (std::size_t i = first; i < stack_.size(); ++i) {
    hashed = hashed && stack_[i].kind == Kind::hashed;
    hash = std::rotl(hash, 29) * 0x9E3779B97F4A7C15U + stack_[i].number;
  }
  drop(first);
  hashed ? push(Kind::hashed, hash) : push(Kind::other);
}

/// Puts the values from `first` on into what stands below them.
void Survey::fill(std::size_t first, bool pairs) {
  if (first == 0 || (!marks_.empty() && first == marks_.back())) throw NoOutline();
  const Slot target = stack_[first - 1];
  if (target.kind == Kind::made) return drop(first);
  if (target.kind != Kind::container) throw NoOutline();
  const std::size_t n = stack_.size() - first;
  for (std::size_t i = stack_.size(); i-- > first;) {
    end_container(stack_[i], static_cast<std::uint32_t>(target.number));
  }
  if (pairs) {
    for (std::size_t i = first; i < stack_.size(); i += 2) add_key(target.number, stack_[i]);
  }
  stack_.resize(first);
  std::uint32_t& size = outline_.containers[target.number].size;
  if (size == Container::none) return;
  const std::uint64_t grown = size + std::uint64_t{pairs ? n / 2 : n};
  size = static_cast<std::uint32_t>(std::min<std::uint64_t>(grown, Container::none));
}

// --- containers ----------------------------------------------------------------------------------

void Survey::begin_container() {
  if (outline_.containers.size() >= std::min<std::uint64_t>(most_, Container::none)) {
    throw NoOutline();
  }
  push(Kind::container, outline_.containers.size());
  outline_.containers.push_back({.size = 0});
}

void Survey::add_key(std::uint64_t container, const Slot& key) {
  if (key.kind != Kind::hashed) return give_whole(container);
  if (keyed_.empty() || keyed_.back().container != container) {
    keyed_.push_back({container, keys_.size()});
  }
  keys_.push_back(key.number);
}

/// The container, if it is one, becomes a part of its parent. One with a key that stands in it twice has to be
/// seen as a whole.
void Survey::end_container(const Slot& slot, std::uint32_t parent) {
  if (slot.kind != Kind::container) return;
  outline_.containers[slot.number].parent = parent;
  if (keyed_.empty() || keyed_.back().container != slot.number) return;
  const auto first = keys_.begin() + static_cast<std::ptrdiff_t>(keyed_.back().first);
  std::sort(first, keys_.end());
  if (std::adjacent_find(first, keys_.end()) != keys_.end()) give_whole(slot.number);
  keys_.erase(first, keys_.end());
  keyed_.pop_back();
}

// --- the memo ------------------------------------------------------------------------------------

void Survey::store_slot(std::uint64_t index, Slot slot) {
  if (index == 1 && memo_.empty()) {  // old picklers count from 1
    memo_.push_back({});
    outline_.fetched.push_back(false);
    gap_ = 1;
  }
  const bool much = index >= most_ || texts_.bytes() / sizeof(Slot) >= most_;
  if (index != memo_.size() || much) throw NoOutline();
  memo_.push_back(slot);
  outline_.fetched.push_back(false);
}

void Survey::store_top(std::uint64_t index) {
  Slot slot = stack_[last(1)];
  if (text_on_top_) {
    slot = text().size() <= Texts::longest ? Slot{Kind::text, texts_.add(text())} : Slot{};
  }
  store_slot(index, slot);
}

bool Survey::store(std::uint64_t index, const Value& value) {
  Slot slot;
  if (const auto token = as_token(value)) {
    slot = {Kind::token, static_cast<std::uint64_t>(*token)};
  } else if (value.kind() == Value::Kind::text && value.size() <= Texts::longest) {
    slot = {Kind::text, texts_.add(value.as_text())};
  } else if (value.kind() == Value::Kind::dtype) {
    slot = {Kind::kept, kept_.size()};
    kept_.push_back(value);
  }
  store_slot(index, slot);
  return slot.kind == Kind::kept;
}

Slot Survey::look_up(std::uint64_t index) {
  if (index >= memo_.size()) throw NoOutline();
  outline_.fetched[index] = true;
  return memo_[index];
}

std::optional<Value> Survey::fetch(std::uint64_t index) {
  const Slot slot = look_up(index);
  switch (slot.kind) {
    case Kind::text: return Value(texts_[slot.number]);
    case Kind::token: return Value(std::make_shared<TokenNode>(static_cast<Token>(slot.number)));
    case Kind::kept: return kept_[slot.number];
    default: throw NoOutline();
  }
}

void Survey::push_fetched(std::uint64_t index) {
  const Slot slot = look_up(index);
  switch (slot.kind) {
    case Kind::text:
      newest_ ^= 1U;
      text() = texts_[slot.number];
      return push(Kind::hashed, hash_of(text()));
    case Kind::token: return push_token(static_cast<Token>(slot.number));
    case Kind::hashed: return push(Kind::hashed, slot.number);
    case Kind::container: give_whole(slot.number); [[fallthrough]];
    default: push(Kind::other);
  }
}

std::optional<PickleOutline> survey_pickle(formats::Input& in) {
  try {
    return Survey(in).run();
  } catch (const NoOutline&) {
  } catch (const DamagedData&) {
  }
  return std::nullopt;
}

}  // namespace hoist::detail::pickle
