// SPDX-License-Identifier: BSD-3-Clause
#include "pickle/survey.hpp"

#include <bit>
#include <charconv>

#include "dynamic/elements.hpp"
#include "dynamic/text_builder.hpp"

// The opcodes.

namespace hoist::detail::pickle {

PickleOutline Survey::run() {
  for (;;) {
    if (steps_-- == 0) throw NoOutline();
    const auto op = in_.number<unsigned char>();
    if (op == '.') break;
    step(op);
  }
  if (!marks_.empty() || stack_.size() != 1) throw NoOutline();
  end_container(stack_[0], Container::none);
  return std::move(outline_);
}

void Survey::step(unsigned char op) {
  switch (op) {
    case 'q': return store_top(in_.number<std::uint8_t>());
    case 'r': return store_top(in_.number<std::uint32_t>());
    case 'p': return store_top(line_index());
    case 0x94: return store_top(size());
    default: break;
  }
  text_on_top_ = false;
  if (step_text(op) || step_number(op) || step_container(op)) return;
  switch (op) {
    case 0x80: in_.skip(1); break;
    case 0x95: in_.skip(8); break;
    case '(':
      if (marks_.size() >= most_) throw NoOutline();
      marks_.push_back(stack_.size());
      break;
    case 'g': push_fetched(line_index()); break;
    case 'h': push_fetched(in_.number<std::uint8_t>()); break;
    case 'j': push_fetched(in_.number<std::uint32_t>()); break;
    case 'c': {
      const std::string module = line();
      name(module, line());
      break;
    }
    case 0x93: {
      const Slot last_name = pop(), module = pop();
      const std::string &second = recent_[newest_], &first = recent_[newest_ ^ 1U];
      if (last_name.kind != Kind::hashed || module.kind != Kind::hashed ||
          last_name.number != hash_of(second) || module.number != hash_of(first)) {
        throw NoOutline();
      }
      name(first, second);
      break;
    }
    case 'R': {
      drop(last(1));
      if (pop().kind != Kind::token) throw NoOutline();
      push(Kind::made);
      break;
    }
    case 'b':
      drop(last(1));
      if (stack_[last(1)].kind != Kind::made) throw NoOutline();
      break;
    default: throw NoOutline();
  }
}

bool Survey::step_number(unsigned char op) {
  switch (op) {
    case 'N': push(Kind::other); break;
    case 0x88: push_integer(1); break;
    case 0x89: push_integer(0); break;
    case 'K': push_integer(in_.number<std::uint8_t>()); break;
    case 'M': push_integer(in_.number<std::uint16_t>()); break;
    case 'J': push_integer(in_.number<std::int32_t>()); break;
    case 'G':
      push_real(std::bit_cast<double>(__builtin_bswap64(in_.number<std::uint64_t>())));
      break;
    case 0x8A: {
      const std::size_t n = in_.number<std::uint8_t>();
      std::uint64_t bits = 0;
      if (n > sizeof bits) {
        in_.skip(n);
        push(Kind::other);
        break;
      }
      in_.get(&bits, n);
      const auto unused = static_cast<unsigned>(64 - 8 * n);
      const auto value = static_cast<std::int64_t>(n == 0 ? 0 : bits << unused);
      push_integer(n == 0 ? 0 : value >> unused);
      break;
    }
    case 0x8B: skip_bytes(in_.number<std::uint32_t>()); break;
    case 'I':
    case 'L':
    case 'F':
      skip_line();
      push(Kind::other);
      break;
    default: return false;
  }
  return true;
}

bool Survey::step_text(unsigned char op) {
  const auto utf8 = [&](std::uint64_t n) {
    n < dynamic::array_bytes ? push_text(static_cast<std::size_t>(n)) : skip_bytes(n);
  };
  const auto old_string = [&](std::uint64_t n) {
    if (n >= dynamic::array_bytes) return skip_bytes(n);
    push_text(static_cast<std::size_t>(n));
    text_on_top_ = dynamic::is_ascii(text());
    if (!text_on_top_) stack_.back() = {};  // bytes
  };
  switch (op) {
    case 0x8C: utf8(in_.number<std::uint8_t>()); break;
    case 'X': utf8(in_.number<std::uint32_t>()); break;
    case 0x8D: utf8(in_.number<std::uint64_t>()); break;
    case 'U': old_string(in_.number<std::uint8_t>()); break;
    case 'T': old_string(in_.number<std::uint32_t>()); break;
    case 'C': skip_bytes(in_.number<std::uint8_t>()); break;
    case 'B': skip_bytes(in_.number<std::uint32_t>()); break;
    case 0x8E:
    case 0x96: skip_bytes(in_.number<std::uint64_t>()); break;
    case 'V':
    case 'S':
      skip_line();
      push(Kind::other);
      break;
    default: return false;
  }
  return true;
}

bool Survey::step_container(unsigned char op) {
  switch (op) {
    case ']':
    case '}':
    case 0x8F: begin_container(); break;
    case 'l':
    case 'd': {
      const std::size_t first = pop_mark();
      if (first != stack_.size()) throw NoOutline();
      begin_container();
      break;
    }
    case 'a': fill(last(1), false); break;
    case 's': fill(last(2), true); break;
    case 'e':
    case 0x90: fill(pop_mark(), false); break;
    case 'u': fill(pop_mark(), true); break;
    case ')': make_tuple(stack_.size()); break;
    case 0x85: make_tuple(last(1)); break;
    case 0x86: make_tuple(last(2)); break;
    case 0x87: make_tuple(last(3)); break;
    case 't': make_tuple(pop_mark()); break;
    case 0x91:
      drop(pop_mark());
      push(Kind::other);
      break;
    case '0':
      if (!marks_.empty() && marks_.back() == stack_.size()) {
        marks_.pop_back();
      } else {
        drop(last(1));
      }
      break;
    case '1': drop(pop_mark()); break;
    default: return false;
  }
  return true;
}

std::string Survey::line() {
  constexpr std::size_t longest = 200;
  std::string text;
  for (char c = in_.number<char>(); c != '\n'; c = in_.number<char>()) {
    if (text.size() == longest) throw NoOutline();
    text += c;
  }
  return text;
}

std::uint64_t Survey::line_index() {
  const std::string text = line();
  std::uint32_t index = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
  if (error != std::errc() || end != text.data() + text.size()) throw NoOutline();
  return index;
}

void Survey::skip_line() {
  while (in_.number<char>() != '\n') {
  }
}

/// Bytes as the machine reads them: many at once straight to their place.
void Survey::skip_bytes(std::uint64_t n) {
  in_.expect(n);
  const auto size = static_cast<std::size_t>(n);
  n < dynamic::array_bytes ? in_.skip(size) : in_.pass_over(size);
  push(Kind::other);
}

void Survey::name(std::string_view module, std::string_view name) {
  const auto token = token_of(module, name);
  if (!token) throw NoOutline();
  push_token(*token);
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
