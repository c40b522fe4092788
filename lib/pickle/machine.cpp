// SPDX-License-Identifier: BSD-3-Clause
#include "pickle/machine.hpp"

#include <hoist/error.hpp>

#include <algorithm>
#include <bit>
#include <unordered_set>

#include "dynamic/dtype_check.hpp"
#include "dynamic/elements.hpp"
#include "pickle/pickle.hpp"

namespace hoist::detail::pickle {

namespace {

constexpr std::size_t max_marks = 10000;
constexpr std::size_t max_integer_bytes = 4096;
/// What a value on the stack or in a container costs, about, besides its text.
constexpr std::size_t value_cost = 96;

}  // namespace

PickleMemo::~PickleMemo() = default;

bool KeepingMemo::store(std::uint64_t index, const Value& value) {
  ++stored_;
  const bool keep = fetched_ == nullptr || (index < fetched_->size() && (*fetched_)[index]);
  if (keep) kept_[index] = value;
  return keep;
}

std::optional<Value> KeepingMemo::fetch(std::uint64_t index) {
  const auto found = kept_.find(index);
  return found != kept_.end() ? std::optional(found->second) : std::nullopt;
}

void PickleContext::add_container(const Value& value) {
  containers.push_back(value.watch());
  if (containers.size() < many_) return;
  std::erase_if(containers, [](const auto& container) { return container.expired(); });
  many_ = std::max(many_, 2 * containers.size());
}

PickleContext::~PickleContext() {
  for (const auto& container : containers) {
    const Value value(container.lock());
    if (value.node() == nullptr) continue;
    if (value.kind() == dynamic::Kind::dict) {
      dynamic::mutable_node<dynamic::DictNode>(value).entries.clear();
    } else {
      dynamic::mutable_node<dynamic::ItemsNode>(value).items.clear();
    }
  }
}

void PickleMachine::unsafe(const std::string& what) const {
  throw UnsafeData(in_.name() + ": " + what + " (at byte " + std::to_string(in_.position()) + ")");
}

// --- the stream -----------------------------------------------------------------------------------

void PickleMachine::charge(std::size_t bytes) {
  if (bytes > context_.memory) in_.limit("its values need more memory than Limits::max_memory");
  context_.memory -= bytes;
}

/// Text and bytes can be turned into others again and again, which costs from the second time on.
void PickleMachine::charge_copy(const Value& value) {
  if (value.kind() != dynamic::Kind::text && value.kind() != dynamic::Kind::bytes) return;
  const auto& node = dynamic::node_as<dynamic::TextNode>(value);
  const std::size_t bytes = node.storage != nullptr ? node.size : node.text.size();
  context_.copied += bytes;
  if (context_.copied > in_.position()) charge(bytes);
}

void PickleMachine::count_steps(std::uint64_t n) {
  if (n > context_.steps) in_.limit("it takes more steps than Limits::max_nodes");
  context_.steps -= n;
}

unsigned char PickleMachine::byte() { return number<unsigned char>(); }

template <class T>
T PickleMachine::number() {
  if (frame_end_ != 0 && frame_end_ - in_.position() < sizeof(T)) {
    damaged("an opcode crosses the end of its frame");
  }
  return in_.number<T>();
}

void PickleMachine::expect(std::uint64_t n) {
  if (frame_end_ != 0 && frame_end_ - in_.position() < n) {
    damaged("an opcode crosses the end of its frame");
  }
  in_.expect(n);
}

void PickleMachine::frame() {
  const auto bytes = number<std::uint64_t>();
  if (frame_end_ != 0) damaged("a frame begins inside a frame");
  in_.expect(bytes);
  frame_end_ = bytes == 0 ? 0 : in_.position() + bytes;
}

// --- the stack ------------------------------------------------------------------------------------

void PickleMachine::push(Value value) {
  charge(value_cost);
  stack_.push_back(std::move(value));
}

void PickleMachine::push_container(Value value) {
  charge(value_cost);
  context_.add_container(value);
  push(std::move(value));
}

void PickleMachine::begin_container(dynamic::Kind kind) {
  if (begin_giving(containers_++, kind)) return;
  push_container(kind == dynamic::Kind::dict ? Value::dict({}) : Value::sequence(kind, {}));
}

Value PickleMachine::pop() {
  top();
  Value value = std::move(stack_.back());
  stack_.pop_back();
  return value;
}

const Value& PickleMachine::top() {
  if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) damaged("an opcode finds no operand");
  return stack_.back();
}

PickleMachine::Items PickleMachine::pop_mark() {
  if (marks_.empty()) damaged("an opcode finds no mark");
  const auto from = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
  Items items(std::make_move_iterator(from), std::make_move_iterator(stack_.end()));
  stack_.erase(from, stack_.end());
  marks_.pop_back();
  return items;
}

void PickleMachine::store(std::uint64_t index) {
  const bool kept = memo_.store(index, top());
  if (!kept) return;
  charge(value_cost);
  memory_then_ = 0;
}

void PickleMachine::fetch(std::uint64_t index) {
  auto found = memo_.fetch(index);
  if (!found) damaged("it refers to a memo entry that it has not made");
  if (dynamic_cast<const WrapperNode*>(found->node()) != nullptr) {
    damaged("it refers to the wrapper of an array");
  }
  push(std::move(*found));
}

// --- opcodes --------------------------------------------------------------------------------------

/// Runs one opcode; true at the end.
bool PickleMachine::stops() {
  if (frame_end_ != 0 && in_.position() == frame_end_) frame_end_ = 0;
  count_steps(1);
  const unsigned char op = byte();
  if (op != '.') {
    step(op);
    return false;
  }
  if (!marks_.empty() || stack_.size() != 1) damaged("it stops with values left over");
  if (frame_end_ != 0 && in_.position() != frame_end_) damaged("it stops inside a frame");
  return true;
}

Value PickleMachine::run() {
  begin_ = in_.position();
  while (!stops()) {
  }
  return pop();
}

Value PickleMachine::construct(Token token) {
  stack_.clear();
  push(Value(std::make_shared<TokenNode>(token)));
  while (stack_.size() != 1 || !marks_.empty() || as_token(stack_[0]) ||
         dynamic_cast<const WrapperNode*>(stack_[0].node()) != nullptr ||
         (stack_[0].kind() == dynamic::Kind::dtype &&
          !dynamic::node_as<dynamic::DTypeNode>(stack_[0]).built)) {
    if (stops()) damaged("it stops with values left over");
  }
  return pop();
}

void PickleMachine::step(unsigned char op) {
  if (step_text(op) || step_container(op)) return;
  switch (op) {
    case 0x80: {
      const unsigned protocol = byte();
      if (in_.position() - 2 != begin_) damaged("a protocol number in the middle");
      if (protocol > 5) {
        damaged("it is a pickle of protocol " + std::to_string(protocol) + "; up to 5 can be read");
      }
      break;
    }
    case 0x95: frame(); break;
    case '(':
      if (marks_.size() == max_marks) in_.limit("too many marks are open");
      marks_.push_back(stack_.size());
      break;
    case '0':
      if (!marks_.empty() && marks_.back() == stack_.size()) {
        marks_.pop_back();
      } else {
        pop();
      }
      break;
    case '1': pop_mark(); break;
    case '2': push(Value(top())); break;
    case 'N': push({}); break;
    case 0x88: push(Value(true)); break;
    case 0x89: push(Value(false)); break;
    case 'K': push(Value(byte())); break;
    case 'M': push(Value(number<std::uint16_t>())); break;
    case 'J': push(Value(number<std::int32_t>())); break;
    case 0x8A: push(Value::integer(text(byte()))); break;
    case 0x8B: {
      const auto n = number<std::int32_t>();
      if (n < 0) damaged("an integer has a negative length");
      if (static_cast<std::size_t>(n) > max_integer_bytes) in_.limit("an integer is too long");
      push(Value::integer(text(static_cast<std::uint64_t>(n))));
      break;
    }
    case 'G': {
      auto bits = number<std::uint64_t>();
      bits = __builtin_bswap64(bits);
      push(Value(std::bit_cast<double>(bits)));
      break;
    }
    case 'q': store(byte()); break;
    case 'r': store(number<std::uint32_t>()); break;
    case 0x94: store(memo_.size()); break;
    case 'h': fetch(byte()); break;
    case 'j': fetch(number<std::uint32_t>()); break;
    case 'c': {
      const std::string module = line();
      global(module, line());
      break;
    }
    case 0x93: {
      const Value name = pop(), module = pop();
      if (name.kind() != dynamic::Kind::text || module.kind() != dynamic::Kind::text)
        damaged("a name is no text");
      global(module.as_text(), name.as_text());
      break;
    }
    case 'R': reduce(); break;
    case 0x81: new_object(); break;
    case 'b': build(); break;
    case 'P':
    case 'Q':
    case 'i':
    case 'o':
    case 0x82:
    case 0x83:
    case 0x84:
    case 0x92:
    case 0x97:
    case 0x98: unsafe("opcode " + std::to_string(op) + " would reach outside the data");
    default: damaged("there is no opcode " + std::to_string(op));
  }
}

bool PickleMachine::step_text(unsigned char op) {
  const auto fail = [&](const std::string& what) { damaged(what); };
  const auto next = [&]() -> int {
    const unsigned char c = byte();
    return c == '\n' ? -1 : c;
  };
  const auto memo_index = [&]() -> std::uint64_t {
    const Value index = decimal_integer(line(), false, fail);
    if (index.kind() != dynamic::Kind::integer || index.as_int() < 0 ||
        index.as_int() > 0xFFFFFFFFLL) {
      damaged("a memo index is out of range");
    }
    return static_cast<std::uint64_t>(index.as_int());
  };
  switch (op) {
    case 'I': push(decimal_integer(line(), false, fail)); break;
    case 'L': push(decimal_integer(line(), true, fail)); break;
    case 'F': push(Value(decimal_real(line(), fail))); break;
    case 'V': push(raw_unicode(next, fail)); break;
    case 'S': push(quoted_string(next, fail)); break;
    case 'T': {
      const auto n = number<std::int32_t>();
      if (n < 0) damaged("a text has a negative length");
      push(old_string(static_cast<std::uint64_t>(n)));
      break;
    }
    case 'U': push(old_string(byte())); break;
    case 'X': push(utf8(number<std::uint32_t>())); break;
    case 0x8C: push(utf8(byte())); break;
    case 0x8D: push(utf8(number<std::uint64_t>())); break;
    case 'C': push(Value::bytes(text(byte()))); break;
    case 'B': push(bytes(number<std::uint32_t>())); break;
    case 0x8E:
    case 0x96: push(bytes(number<std::uint64_t>())); break;
    case 'p': store(memo_index()); break;
    case 'g': fetch(memo_index()); break;
    default: return false;
  }
  return true;
}

bool PickleMachine::step_container(unsigned char op) {
  const auto tuple = [&](std::size_t n) {
    Items items(n);
    for (std::size_t i = n; i-- > 0;) items[i] = pop();
    push(Value::tuple(std::move(items)));
  };
  switch (op) {
    case ')': push(Value::tuple({})); break;
    case 0x85: tuple(1); break;
    case 0x86: tuple(2); break;
    case 0x87: tuple(3); break;
    case 't': push(Value::tuple(pop_mark())); break;
    case ']': begin_container(dynamic::Kind::list); break;
    case 'l': {
      Items items = pop_mark();
      items.empty() ? begin_container(dynamic::Kind::list)
                    : push_container(Value::list(std::move(items)));
      break;
    }
    case 'a': {
      Items one{pop()};
      append(top(), std::move(one));
      break;
    }
    case 'e': {
      Items items = pop_mark();
      append(top(), std::move(items));
      break;
    }
    case '}': begin_container(dynamic::Kind::dict); break;
    case 'd': {
      Items items = pop_mark();
      if (items.empty()) {
        begin_container(dynamic::Kind::dict);
        break;
      }
      push_container(Value::dict({}));
      set_items(top(), std::move(items));
      break;
    }
    case 's': {
      Items pair(2);
      pair[1] = pop();
      pair[0] = pop();
      set_items(top(), std::move(pair));
      break;
    }
    case 'u': {
      Items items = pop_mark();
      set_items(top(), std::move(items));
      break;
    }
    case 0x8F: begin_container(dynamic::Kind::set); break;
    case 0x90: add_items(); break;
    case 0x91: {
      Items items = pop_mark();
      if (!all_hashable(items)) damaged("a set holds what can't be in one");
      push(Value::sequence(dynamic::Kind::frozen_set, std::move(items)));
      break;
    }
    default: return false;
  }
  return true;
}

void PickleMachine::append(const Value& target, Items items) {
  if (is_given(target)) return give_items(std::move(items));
  if (target.kind() != dynamic::Kind::list) damaged("items are appended to what is no list");
  auto& list = dynamic::mutable_node<dynamic::ItemsNode>(target).items;
  charge(items.size() * sizeof(Value));
  std::move(items.begin(), items.end(), std::back_inserter(list));
}

void PickleMachine::set_items(const Value& target, Items items) {
  if (is_given(target)) return give_items(std::move(items));
  if (target.kind() != dynamic::Kind::dict) damaged("entries are set in what is no dict");
  if (items.size() % 2 != 0) damaged("a key has no value");
  charge(items.size() * sizeof(Value));
  auto& entries = dynamic::mutable_node<dynamic::DictNode>(target).entries;
  for (std::size_t i = 0; i < items.size(); i += 2) {
    if (items[i].node() != nullptr && !all_hashable({items[i]})) damaged("a value can't be a key");
    entries.emplace_back(std::move(items[i]), std::move(items[i + 1]));
  }
}

void PickleMachine::add_items() {
  Items items = pop_mark();
  const Value& target = top();
  if (is_given(target)) return give_items(std::move(items));
  if (target.kind() != dynamic::Kind::set || !all_hashable(items))
    damaged("a set holds what can't be in one");
  charge(items.size() * sizeof(Value));
  auto& set = dynamic::mutable_node<dynamic::ItemsNode>(target).items;
  std::move(items.begin(), items.end(), std::back_inserter(set));
}

/// Walks without recursion and each shared part once: nothing says yet how deep they nest.
bool PickleMachine::all_hashable(const Items& items) {
  std::vector<const Value*> open;
  std::unordered_set<const Value::Node*> seen;
  for (const Value& item : items) open.push_back(&item);
  while (!open.empty()) {
    const Value& value = *open.back();
    open.pop_back();
    switch (value.kind()) {
      case dynamic::Kind::list:
      case dynamic::Kind::dict:
      case dynamic::Kind::set:
      case dynamic::Kind::array:
      case dynamic::Kind::objects:
      case dynamic::Kind::dtype:
      case dynamic::Kind::slice:
      case dynamic::Kind::internal: return false;
      case dynamic::Kind::tuple:
      case dynamic::Kind::frozen_set:
        if (!seen.insert(value.node()).second) break;
        count_steps(value.items().size());
        for (const Value& item : value.items()) open.push_back(&item);
        break;
      default: break;
    }
  }
  return true;
}

}  // namespace hoist::detail::pickle
