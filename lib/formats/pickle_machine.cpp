// SPDX-License-Identifier: BSD-3-Clause
#include "formats/pickle_machine.hpp"

#include <hoist/error.hpp>

#include <algorithm>
#include <bit>
#include <unordered_set>

#include "dynamic/dtype_check.hpp"
#include "dynamic/elements.hpp"
#include "formats/pickle.hpp"

namespace hoist::detail {

namespace {

constexpr std::size_t max_marks = 10000;
constexpr std::size_t max_line = 8192;
constexpr std::size_t max_integer_bytes = 4096;
constexpr int max_nested = 8;
/// What a value on the stack or in a container costs, about, besides its text.
constexpr std::size_t value_cost = 96;

/// Readers alone change values, and only ones that nobody else has seen.
template <class N>
N& mutable_node(const Value& value) {
  return const_cast<N&>(node_as<N>(value));
}

bool is_tuple(const Value& value) { return value.kind() == Kind::tuple; }

}  // namespace

PickleContext::~PickleContext() {
  for (const Value& value : containers) {
    if (value.kind() == Kind::dict) {
      mutable_node<DictNode>(value).entries.clear();
    } else {
      mutable_node<ItemsNode>(value).items.clear();
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

std::string PickleMachine::text(std::uint64_t n) {
  if (frame_end_ != 0 && frame_end_ - in_.position() < n) {
    damaged("an opcode crosses the end of its frame");
  }
  in_.expect(n);
  charge(static_cast<std::size_t>(n));
  return in_.text(static_cast<std::size_t>(n));
}

std::string PickleMachine::line() {
  std::string text;
  for (;;) {
    const char c = static_cast<char>(byte());
    if (c == '\n') return text;
    if (text.size() == max_line) in_.limit("a line of text is too long");
    text += c;
  }
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
  context_.containers.push_back(value);
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

PickleMachine::Items PickleMachine::pop_mark() {
  if (marks_.empty()) damaged("an opcode finds no mark");
  const auto from = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
  Items items(std::make_move_iterator(from), std::make_move_iterator(stack_.end()));
  stack_.erase(from, stack_.end());
  marks_.pop_back();
  return items;
}

void PickleMachine::store(std::uint64_t index) {
  charge(value_cost);
  memo_[index] = top();
}

void PickleMachine::fetch(std::uint64_t index) {
  const auto found = memo_.find(index);
  if (found == memo_.end()) damaged("it refers to a memo entry that it has not made");
  if (dynamic_cast<const WrapperNode*>(found->second.node()) != nullptr) {
    damaged("it refers to the wrapper of an array");
  }
  push(found->second);
}

// --- opcodes --------------------------------------------------------------------------------------

Value PickleMachine::run() {
  begin_ = in_.position();
  for (;;) {
    if (frame_end_ != 0 && in_.position() == frame_end_) frame_end_ = 0;
    count_steps(1);
    const unsigned char op = byte();
    if (op == '.') {
      if (!marks_.empty() || stack_.size() != 1) damaged("it stops with values left over");
      if (frame_end_ != 0 && in_.position() != frame_end_) damaged("it stops inside a frame");
      return pop();
    }
    step(op);
  }
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
      if (name.kind() != Kind::text || module.kind() != Kind::text) damaged("a name is no text");
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
  // Of Python 2, for text and bytes alike: what is ASCII is taken for text.
  const auto push_old = [&](std::string bytes) {
    const bool ascii = std::all_of(bytes.begin(), bytes.end(), [](char c) { return c >= 0; });
    push(ascii ? Value(std::move(bytes)) : Value::bytes(std::move(bytes)));
  };
  const auto push_utf8 = [&](std::uint64_t n) {
    std::string utf8 = text(n);
    if (!is_utf8(utf8)) damaged("a text is not UTF-8");
    push(Value(std::move(utf8)));
  };
  const auto memo_index = [&]() -> std::uint64_t {
    const Value index = decimal_integer(line(), false, fail);
    if (index.kind() != Kind::integer || index.as_int() < 0 || index.as_int() > 0xFFFFFFFFLL) {
      damaged("a memo index is out of range");
    }
    return static_cast<std::uint64_t>(index.as_int());
  };
  switch (op) {
    case 'I': push(decimal_integer(line(), false, fail)); break;
    case 'L': push(decimal_integer(line(), true, fail)); break;
    case 'F': push(Value(decimal_real(line(), fail))); break;
    case 'V': push(Value(raw_unicode(line(), fail))); break;
    case 'S': push_old(quoted_string(line(), fail)); break;
    case 'T': {
      const auto n = number<std::int32_t>();
      if (n < 0) damaged("a text has a negative length");
      push_old(text(static_cast<std::uint64_t>(n)));
      break;
    }
    case 'U': push_old(text(byte())); break;
    case 'X': push_utf8(number<std::uint32_t>()); break;
    case 0x8C: push_utf8(byte()); break;
    case 0x8D: push_utf8(number<std::uint64_t>()); break;
    case 'C': push(Value::bytes(text(byte()))); break;
    case 'B': push(Value::bytes(text(number<std::uint32_t>()))); break;
    case 0x8E:
    case 0x96: push(Value::bytes(text(number<std::uint64_t>()))); break;
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
    case ']': push_container(Value::list({})); break;
    case 'l': push_container(Value::list(pop_mark())); break;
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
    case '}': push_container(Value::dict({})); break;
    case 'd': {
      Items items = pop_mark();
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
    case 0x8F: push_container(Value::set({})); break;
    case 0x90: add_items(); break;
    case 0x91: {
      Items items = pop_mark();
      if (!all_hashable(items)) damaged("a set holds what can't be in one");
      push(Value::sequence(Kind::frozen_set, std::move(items)));
      break;
    }
    default: return false;
  }
  return true;
}

void PickleMachine::append(const Value& target, Items items) {
  if (target.kind() != Kind::list) damaged("items are appended to what is no list");
  auto& list = mutable_node<ItemsNode>(target).items;
  charge(items.size() * sizeof(Value));
  std::move(items.begin(), items.end(), std::back_inserter(list));
}

void PickleMachine::set_items(const Value& target, Items items) {
  if (target.kind() != Kind::dict) damaged("entries are set in what is no dict");
  if (items.size() % 2 != 0) damaged("a key has no value");
  charge(items.size() * sizeof(Value));
  auto& entries = mutable_node<DictNode>(target).entries;
  for (std::size_t i = 0; i < items.size(); i += 2) {
    if (items[i].node() != nullptr && !all_hashable({items[i]})) damaged("a value can't be a key");
    entries.emplace_back(std::move(items[i]), std::move(items[i + 1]));
  }
}

void PickleMachine::add_items() {
  Items items = pop_mark();
  const Value& target = top();
  if (target.kind() != Kind::set || !all_hashable(items))
    damaged("a set holds what can't be in one");
  charge(items.size() * sizeof(Value));
  auto& set = mutable_node<ItemsNode>(target).items;
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
      case Kind::list:
      case Kind::dict:
      case Kind::set:
      case Kind::array:
      case Kind::objects:
      case Kind::dtype:
      case Kind::slice:
      case Kind::internal: return false;
      case Kind::tuple:
      case Kind::frozen_set:
        if (!seen.insert(value.node()).second) break;
        count_steps(value.items().size());
        for (const Value& item : value.items()) open.push_back(&item);
        break;
      default: break;
    }
  }
  return true;
}

// --- what would be objects ------------------------------------------------------------------------

void PickleMachine::global(const std::string& module, const std::string& name) {
  const auto token = token_of(module, name);
  if (!token) {
    unsafe("the pickle names " + Value(module + "." + name).to_string(200) +
           ", which is not among the constructors of plain data; nothing of it was run");
  }
  push(Value(std::make_shared<TokenNode>(*token)));
}

void PickleMachine::reduce() {
  const Value arguments = pop(), callee = pop();
  const auto token = as_token(callee);
  if (!token || !is_tuple(arguments)) damaged("a call of what is no constructor");
  Value result = call(*token, arguments.items());
  const bool container = result.kind() == Kind::list || result.kind() == Kind::dict ||
                         result.kind() == Kind::set || result.kind() == Kind::array;
  container ? push_container(std::move(result)) : push(std::move(result));
}

Value PickleMachine::call(Token token, Items arguments) {
  const auto fail = [&](const std::string& what) { damaged(what); };
  if (token == Token::reconstructor) {
    const bool wrapper = arguments.size() == 3 && as_token(arguments[0]) == Token::array_wrapper &&
                         as_token(arguments[1]) == Token::object && arguments[2].is_none();
    if (!wrapper) unsafe("the pickle rebuilds an object of a class that is not on the list");
    return Value(std::make_shared<WrapperNode>());
  }
  if ((token == Token::set || token == Token::frozenset) && !arguments.empty() &&
      (arguments[0].kind() == Kind::list || is_tuple(arguments[0])) &&
      !all_hashable(arguments[0].items())) {
    damaged("a set holds what can't be in one");
  }
  try {
    if (auto value = call_plain(token, arguments, fail)) return *value;
    if (auto value = call_time(token, arguments, fail)) return *value;
    if (auto value = call_numpy(token, arguments, fail)) return *value;
  } catch (const LimitExceeded& error) {
    in_.limit(error.what());
  }
  unsafe("the pickle calls what only has a meaning as an argument");
}

void PickleMachine::new_object() {
  const Value arguments = pop(), type = pop();
  const auto token = as_token(type);
  if (token == Token::sidecar_wrapper) {
    unsafe(
        "its arrays lie in other files, as joblib before 0.10 wrote them; load it there and dump "
        "it again");
  }
  if (token != Token::array_wrapper || !is_tuple(arguments) || !arguments.items().empty()) {
    unsafe("the pickle makes an object of a class that is not on the list");
  }
  push(Value(std::make_shared<WrapperNode>()));
}

void PickleMachine::build() {
  const auto fail = [&](const std::string& what) { damaged(what); };
  const Value state = pop();
  const Value object = top();
  try {
    if (object.kind() == Kind::dtype) {
      set_dtype_state(mutable_node<DTypeNode>(object), state, fail);
    } else if (object.kind() == Kind::array) {
      set_array_state(mutable_node<ArrayNode>(object), state, fail);
    } else if (dynamic_cast<const WrapperNode*>(object.node()) != nullptr) {
      Value array = build_wrapper(state);
      pop();
      array.kind() == Kind::objects ? push_container(std::move(array)) : push(std::move(array));
    } else {
      unsafe("the pickle sets the state of an object of a class that is not on the list");
    }
  } catch (const LimitExceeded& error) {
    if (std::string_view(error.what()).starts_with(in_.name())) throw;
    in_.limit(error.what());
  }
}

/// The array that stands in the stream behind the description of it which was just read.
Value PickleMachine::build_wrapper(const Value& state) {
  const auto fail = [&](const std::string& what) { damaged(what); };
  if (nested_ > 0) unsafe("a wrapper of joblib's inside a nested pickle");
  if (state.kind() != Kind::dict) damaged("an array has no description");
  static constexpr std::string_view known[] = {
      "subclass", "shape", "order", "dtype", "allow_mmap", "numpy_array_alignment_bytes"};
  for (const auto& [key, part] : state.entries()) {
    const bool good = key.kind() == Kind::text && std::find(std::begin(known), std::end(known),
                                                            key.as_text()) != std::end(known);
    if (!good) damaged("an array's description has an unknown attribute");
  }
  const auto part = [&](std::size_t i) -> const Value& {
    const Value* found = state.find(known[i]);
    if (found == nullptr) damaged("an array's description lacks an attribute");
    return *found;
  };
  const auto subclass = as_token(part(0));
  const Value &order = part(2), &type = part(3);
  const bool good = (subclass == Token::ndarray || subclass == Token::matrix) &&
                    order.kind() == Kind::text &&
                    (order.as_text() == "C" || order.as_text() == "F") &&
                    type.kind() == Kind::dtype && node_as<DTypeNode>(type).built &&
                    part(4).kind() == Kind::boolean && state.entries().size() <= std::size(known);
  if (!good) damaged("an array's description is unsound");
  Shape shape = shape_argument(part(1), fail);
  const std::size_t bytes = checked_bytes(type.dtype(), shape);
  if (frame_end_ != 0 && in_.position() != frame_end_) damaged("a frame runs into an array");
  frame_end_ = 0;
  if (type.dtype().has_objects()) return nested_array(shape);
  const Value* alignment = state.find(known[5]);
  if (alignment != nullptr && !alignment->is_none()) {
    if (alignment->kind() != Kind::integer || alignment->as_int() < 1 ||
        alignment->as_int() > 255) {
      damaged("an array has an impossible alignment");
    }
    in_.skip(byte());
  }
  Value::Elements elements{type.dtype(), std::move(shape),
                           order.as_text() == "F" ? Order::fortran : Order::c, in_.elements(bytes),
                           nullptr};
  if (elements.storage) elements.data = elements.storage->data();
  return Value(std::move(elements));
}

Value PickleMachine::nested_array(const Shape& shape) {
  if (nested_ >= max_nested) in_.limit("pickles nest too deep");
  PickleMachine inner(in_, context_, nested_ + 1);
  Value value = inner.run();
  if (value.kind() != Kind::objects || value.shape() != shape) {
    damaged("an array of objects does not hold what it says");
  }
  return value;
}

namespace {

Value checked(Input& in, PickleContext& context, Value value) {
  check_value(
      value, in.options().limits, [&](const std::string& what) { in.damaged(what); },
      [&](const std::string& what) { in.limit(what); });
  context.containers.clear();
  return value;
}

}  // namespace

Value read_pickle(Input& in) {
  PickleContext context(in.options().limits);
  PickleMachine machine(in, context, 0);
  return checked(in, context, machine.run());
}

Value read_object_array(Input& in, const Shape& shape) {
  PickleContext context(in.options().limits);
  PickleMachine machine(in, context, 1);
  Value value = machine.run();
  if (value.kind() != Kind::objects || value.shape() != shape) {
    in.damaged("the pickle behind the header is not the array that the header describes");
  }
  return checked(in, context, std::move(value));
}

}  // namespace hoist::detail
