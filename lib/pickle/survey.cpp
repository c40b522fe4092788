// SPDX-License-Identifier: BSD-3-Clause
#include "pickle/survey.hpp"

#include <hoist/error.hpp>

#include <algorithm>
#include <memory>

// The stack, the containers and the memo.

namespace hoist::detail::pickle {

// --- the stack -----------------------------------------------------------------------------------

void Survey::push(Kind kind, std::uint64_t number) {
  if (stack_.size() >= most_) throw NoOutline();
  stack_.emplace_back(kind, number);
  text_end_ = 0;
}

/// Text of `n` bytes that comes next.
void Survey::push_text(std::size_t n) {
  newest_ ^= 1U;
  text().resize(n);
  in_.get(text().data(), n);
  push(Kind::hashed, hash_of(text()));
  text_end_ = stack_.size();
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

std::size_t Survey::from_mark() {
  if (marks_.empty()) throw NoOutline();
  const std::size_t first = marks_.back();
  marks_.pop_back();
  return first;
}

void Survey::discard(std::size_t first) {
  while (stack_.size() > first) {
    const Slot slot = stack_.back();
    if (slot.kind == Kind::container) give_whole(slot.number);
    end_container(slot, Container::none);
    stack_.pop_back();
  }
}

// --- containers ----------------------------------------------------------------------------------

void Survey::add_key(std::uint64_t container, const Slot& key) {
  if (key.kind != Kind::hashed) return give_whole(container);
  if (keyed_.empty() || keyed_.back().container != container) {
    keyed_.push_back({container, keys_.size()});
  }
  keys_.push_back(key.number);
}

/// If `slot` is a container, it becomes a part of its parent. A dict with a repeated key has to be
/// read as a whole.
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

std::optional<PickleOutline> survey_pickle(formats::Input& in) {
  try {
    return Survey(in).run();
  } catch (const NoOutline&) {
  } catch (const DamagedData&) {
  }
  return std::nullopt;
}

}  // namespace hoist::detail::pickle
