// SPDX-License-Identifier: BSD-3-Clause
#include "pickle/machine.hpp"

#include <hoist/error.hpp>

#include <algorithm>
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
constexpr const char* unhashable = "a set holds what can't be in one";

Value empty(dynamic::Kind kind) {
  return kind == dynamic::Kind::dict ? Value::dict({}) : Value::sequence(kind, {});
}

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

// --- the stream ---------------------------------------------------------------------------------

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

/// Likewise the parts of a container, each of which took a byte of the stream at least.
void PickleMachine::charge_parts(const Value& value) {
  std::size_t n = 0;
  if (value.kind() == dynamic::Kind::dict) {
    n = 2 * value.entries().size();
  } else if (value.kind() == dynamic::Kind::list || value.kind() == dynamic::Kind::tuple) {
    n = value.items().size();
  }
  context_.copied += n;
  if (context_.copied <= in_.position()) return;
  count_steps(n);
  charge(n * sizeof(Value));
}

/// A dtype has copies of the names and titles of its fields, which may be the same text each time.
void PickleMachine::charge_dtype(const Value& state) {
  if (state.kind() != dynamic::Kind::tuple || state.items().size() < 5) return;
  const Value &names = state.items()[3], &fields = state.items()[4];
  if (names.kind() != dynamic::Kind::tuple && names.kind() != dynamic::Kind::list) return;
  const auto charge_text = [&](const Value& text) {
    if (text.kind() == dynamic::Kind::text) charge(text.as_text().size());
  };
  count_steps(names.items().size());
  for (const Value& name : names.items()) {
    charge(sizeof(DType::Field));
    charge_text(name);
  }
  if (fields.kind() != dynamic::Kind::dict) return;
  count_steps(fields.entries().size());
  for (const auto& [name, field] : fields.entries()) {
    const bool has_title = field.kind() == dynamic::Kind::tuple && field.items().size() == 3;
    if (has_title) charge_text(field.items()[2]);
  }
}

void PickleMachine::count_steps(std::uint64_t n) {
  if (n > context_.steps) in_.limit("it takes more steps than Limits::max_nodes");
  context_.steps -= n;
}

void PickleMachine::expect(std::uint64_t n) {
  if (frame_end_ != 0 && frame_end_ - in_.position() < n) {
    damaged("an opcode crosses the end of its frame");
  }
  in_.expect(n);
}

int PickleMachine::line_byte() {
  const auto c = number<unsigned char>();
  return c == '\n' ? -1 : c;
}

// --- the stack ----------------------------------------------------------------------------------

void PickleMachine::push(Value value) {
  charge(value_cost);
  stack_.push_back(std::move(value));
}

void PickleMachine::push_container(Value value) {
  charge(value_cost);
  context_.add_container(value);
  push(std::move(value));
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

PickleMachine::Items PickleMachine::last(std::size_t n) {
  Items items(n);
  for (std::size_t i = n; i-- > 0;) items[i] = pop();
  return items;
}

PickleMachine::Items PickleMachine::from_mark() {
  if (marks_.empty()) damaged("an opcode finds no mark");
  const auto from = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
  Items items(std::make_move_iterator(from), std::make_move_iterator(stack_.end()));
  stack_.erase(from, stack_.end());
  marks_.pop_back();
  return items;
}

// --- opcodes ------------------------------------------------------------------------------------

/// Runs one opcode; true at the end.
bool PickleMachine::stops() {
  if (frame_end_ != 0 && in_.position() == frame_end_) frame_end_ = 0;
  count_steps(1);
  const auto code = number<unsigned char>();
  if (code != '.') {
    OpcodeTable<PickleMachine>::run(*this, code);
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

void PickleMachine::begin_protocol(unsigned protocol) {
  if (in_.position() - 2 != begin_) damaged("a protocol number in the middle");
  if (protocol > 5) {
    damaged("it is a pickle of protocol " + std::to_string(protocol) + "; up to 5 can be read");
  }
}

void PickleMachine::begin_frame(std::uint64_t bytes) {
  if (frame_end_ != 0) damaged("a frame begins inside a frame");
  in_.expect(bytes);
  frame_end_ = bytes == 0 ? 0 : in_.position() + bytes;
}

void PickleMachine::push_mark() {
  if (marks_.size() == max_marks) in_.limit("too many marks are open");
  marks_.push_back(stack_.size());
}

void PickleMachine::discard_top() {
  if (!marks_.empty() && marks_.back() == stack_.size()) {
    marks_.pop_back();
  } else {
    pop();
  }
}

void PickleMachine::push_long(std::uint64_t bytes) {
  if (bytes > max_integer_bytes) in_.limit("an integer is too long");
  push(Value::integer(text(bytes)));
}

void PickleMachine::push_decimal(std::string_view line, bool is_long) {
  push(decimal_integer(line, is_long, [&](const std::string& what) { damaged(what); }));
}

void PickleMachine::push_decimal_real(std::string_view line) {
  push(Value(decimal_real(line, [&](const std::string& what) { damaged(what); })));
}

void PickleMachine::push_quoted_line() {
  push(quoted_string([&] { return line_byte(); }, [&](const std::string& what) { damaged(what); }));
}

void PickleMachine::push_unicode_line() {
  push(raw_unicode([&] { return line_byte(); }, [&](const std::string& what) { damaged(what); }));
}

void PickleMachine::store_top(std::uint64_t index) {
  const bool kept = memo_.store(index, top());
  if (!kept) return;
  charge(value_cost);
  memory_then_ = 0;
}

void PickleMachine::push_fetched(std::uint64_t index) {
  auto found = memo_.fetch(index);
  if (!found) damaged("it refers to a memo entry that it has not made");
  if (dynamic_cast<const WrapperNode*>(found->node()) != nullptr) {
    damaged("it refers to the wrapper of an array");
  }
  push(std::move(*found));
}

void PickleMachine::push_global_of_stack() {
  const Value name = pop(), module = pop();
  if (name.kind() != dynamic::Kind::text || module.kind() != dynamic::Kind::text) {
    damaged("a name is no text");
  }
  push_global(module.as_text(), name.as_text());
}

void PickleMachine::refuse(const std::string& opcode) const {
  unsafe("opcode " + opcode + " would reach outside the data");
}

void PickleMachine::unknown(unsigned char opcode) const {
  damaged("there is no opcode " + std::to_string(opcode));
}

// --- containers ---------------------------------------------------------------------------------

void PickleMachine::begin_container(dynamic::Kind kind) {
  if (begin_giving(containers_++, kind)) return;
  push_container(empty(kind));
}

void PickleMachine::push_filled(dynamic::Kind kind, Items items) {
  if (items.empty()) return begin_container(kind);
  push_container(empty(kind));
  fill(kind, std::move(items));
}

/// Puts the items into the container on top of the stack.
void PickleMachine::fill(dynamic::Kind kind, Items items) {
  const Value& target = top();
  if (is_given(target)) return give_items(std::move(items));
  if (target.kind() != kind) damaged("parts are put into what is no container for them");
  charge(items.size() * sizeof(Value));
  if (kind != dynamic::Kind::dict) {
    if (kind == dynamic::Kind::set && !all_hashable(items)) damaged(unhashable);
    auto& list = dynamic::mutable_node<dynamic::ItemsNode>(target).items;
    std::move(items.begin(), items.end(), std::back_inserter(list));
    return;
  }
  if (items.size() % 2 != 0) damaged("a key has no value");
  auto& entries = dynamic::mutable_node<dynamic::DictNode>(target).entries;
  for (std::size_t i = 0; i < items.size(); i += 2) {
    if (items[i].node() != nullptr && !all_hashable({items[i]})) damaged("a value can't be a key");
    entries.emplace_back(std::move(items[i]), std::move(items[i + 1]));
  }
}

void PickleMachine::push_frozen_set(Items items) {
  if (!all_hashable(items)) damaged(unhashable);
  push(Value::sequence(dynamic::Kind::frozen_set, std::move(items)));
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
