// SPDX-License-Identifier: BSD-3-Clause
#include "pickle/survey.hpp"

#include <algorithm>
#include <bit>

#include "dynamic/elements.hpp"
#include "dynamic/text_builder.hpp"

// What the opcodes mean to a survey.

namespace hoist::detail::pickle {

PickleOutline Survey::run() {
  for (;;) {
    if (steps_-- == 0) throw NoOutline();
    const auto code = number<unsigned char>();
    if (code == '.') break;
    OpcodeTable<Survey>::run(*this, code);
  }
  if (!marks_.empty() || stack_.size() != 1) throw NoOutline();
  end_container(stack_[0], Container::none);
  return std::move(outline_);
}

void Survey::push_mark() {
  if (marks_.size() >= most_) throw NoOutline();
  marks_.push_back(stack_.size());
}

void Survey::discard_top() {
  if (!marks_.empty() && marks_.back() == stack_.size()) {
    marks_.pop_back();
  } else {
    discard(last(1));
  }
}

void Survey::push_long(std::uint64_t bytes) {
  const auto n = static_cast<std::size_t>(bytes);
  std::uint64_t bits = 0;
  if (n > sizeof bits) {
    in_.skip(n);
    return push(Kind::other);
  }
  if (n == 0) return push_integer(0);
  in_.get(&bits, n);
  const auto unused = static_cast<unsigned>(64 - 8 * n);
  push_integer(static_cast<std::int64_t>(bits << unused) >> unused);
}

/// Python holds 1.0 and 1 to be one key.
void Survey::push_real(double value) {
  const bool whole = value >= -0x1p63 && value < 0x1p63 &&
                     static_cast<double>(static_cast<std::int64_t>(value)) == value;
  whole ? push_integer(static_cast<std::int64_t>(value))
        : push(Kind::hashed, std::bit_cast<std::uint64_t>(value));
}

void Survey::push_unicode_line() {
  while (number<char>() != '\n') {
  }
  push(Kind::other);
}

void Survey::push_utf8(std::uint64_t n) {
  n < dynamic::array_bytes ? push_text(static_cast<std::size_t>(n)) : push_bytes(n);
}

void Survey::push_old_string(std::uint64_t n) {
  push_utf8(n);
  if (text_end_ == 0 || dynamic::is_ascii(text())) return;
  stack_.back() = {};  // bytes
  text_end_ = 0;
}

/// Bytes as the machine reads them: many at once straight to their place.
void Survey::push_bytes(std::uint64_t n) {
  in_.expect(n);
  const auto size = static_cast<std::size_t>(n);
  n < dynamic::array_bytes ? in_.skip(size) : in_.pass_over(size);
  push(Kind::other);
}

void Survey::push_tuple(std::size_t first) {
  std::uint64_t hash = stack_.size() - first;
  bool hashed = true;
  for (std::size_t i = first; i < stack_.size(); ++i) {
    hashed = hashed && stack_[i].kind == Kind::hashed;
    hash = std::rotl(hash, 29) * 0x9E3779B97F4A7C15U + stack_[i].number;
  }
  discard(first);
  hashed ? push(Kind::hashed, hash) : push(Kind::other);
}

void Survey::push_frozen_set(std::size_t first) {
  discard(first);
  push(Kind::other);
}

void Survey::begin_container(dynamic::Kind /*kind*/) {
  if (outline_.containers.size() >= std::min<std::uint64_t>(most_, Container::none)) {
    throw NoOutline();
  }
  push(Kind::container, outline_.containers.size());
  outline_.containers.push_back({.size = 0});
}

void Survey::push_filled(dynamic::Kind kind, std::size_t first) {
  if (first != stack_.size()) throw NoOutline();
  begin_container(kind);
}

/// Puts the values from `first` on into what stands below them.
void Survey::fill(dynamic::Kind kind, std::size_t first) {
  const bool pairs = kind == dynamic::Kind::dict;
  if (first == 0 || (!marks_.empty() && first == marks_.back())) throw NoOutline();
  const Slot target = stack_[first - 1];
  if (target.kind == Kind::made) return discard(first);
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

void Survey::store_top(std::uint64_t index) {
  Slot slot = stack_[last(1)];
  if (text_end_ == stack_.size()) {
    slot = text().size() <= Texts::longest ? Slot{Kind::text, texts_.add(text())} : Slot{};
  }
  store_slot(index, slot);
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

void Survey::push_global(std::string_view module, std::string_view name) {
  const auto token = token_of(module, name);
  if (!token) throw NoOutline();
  push_token(*token);
}

void Survey::push_global_of_stack() {
  const Slot name = pop(), module = pop();
  const std::string &second = recent_[newest_], &first = recent_[newest_ ^ 1U];
  if (name.kind != Kind::hashed || module.kind != Kind::hashed || name.number != hash_of(second) ||
      module.number != hash_of(first)) {
    throw NoOutline();
  }
  push_global(first, second);
}

void Survey::reduce() {
  discard(last(1));
  if (pop().kind != Kind::token) throw NoOutline();
  push(Kind::made);
}

void Survey::build() {
  discard(last(1));
  if (stack_[last(1)].kind != Kind::made) throw NoOutline();
}

void Survey::push_token(Token token) {
  switch (token) {
    case Token::sidecar_wrapper:
    case Token::reconstructor: throw NoOutline();
    case Token::array_wrapper:
    case Token::dtype: {
      const std::size_t before = machine_.containers();
      machine_.construct(token);
      outline_.containers.resize(outline_.containers.size() + machine_.containers() - before);
      return push(Kind::other);
    }
    default: push(Kind::token, static_cast<std::uint64_t>(token));
  }
}

}  // namespace hoist::detail::pickle
