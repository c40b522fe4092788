// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>

#include <algorithm>

#include "dynamic/dtype_check.hpp"
#include "pickle/companions.hpp"
#include "pickle/machine.hpp"
#include "pickle/pickle.hpp"

// The objects in a pickle: the constructors that it calls, and the arrays that joblib's wrappers
// stand for.

namespace hoist::detail::pickle {

namespace {

constexpr int max_nested = 8;

bool is_tuple(const Value& value) { return value.kind() == dynamic::Kind::tuple; }

}  // namespace

void PickleMachine::push_global(std::string_view module, std::string_view name) {
  const auto token = token_of(module, name);
  if (!token) {
    unsafe("the pickle names " +
           Value(std::string(module) + "." + std::string(name)).to_string(200) +
           ", which is not among the constructors of plain data; nothing of it was run");
  }
  push(Value(std::make_shared<TokenNode>(*token)));
}

void PickleMachine::reduce() {
  const Value arguments = pop(), callee = pop();
  const auto token = as_token(callee);
  if (!token || !is_tuple(arguments)) damaged("a call of what is no constructor");
  Value result = call(*token, arguments.items());
  const bool container =
      result.kind() == dynamic::Kind::list || result.kind() == dynamic::Kind::dict ||
      result.kind() == dynamic::Kind::set || result.kind() == dynamic::Kind::array;
  container ? push_container(std::move(result)) : push(std::move(result));
}

Value PickleMachine::call(Token token, Items arguments) {
  const auto fail = [&](const std::string& what) { damaged(what); };
  if (token == Token::reconstructor) {
    const auto type = arguments.empty() ? std::nullopt : as_token(arguments[0]);
    const bool wrapper = arguments.size() == 3 &&
                         (type == Token::array_wrapper || type == Token::sidecar_wrapper) &&
                         as_token(arguments[1]) == Token::object && arguments[2].is_none();
    if (!wrapper) unsafe("the pickle rebuilds an object of a class that is not on the list");
    return Value(std::make_shared<WrapperNode>(type == Token::sidecar_wrapper));
  }
  const bool gathers = token == Token::set || token == Token::frozenset ||
                       token == Token::ordered_dict || token == Token::counter;
  if (gathers && !arguments.empty()) charge_parts(arguments[0]);
  if ((token == Token::set || token == Token::frozenset) && !arguments.empty() &&
      (arguments[0].kind() == dynamic::Kind::list || is_tuple(arguments[0])) &&
      !all_hashable(arguments[0].items())) {
    damaged("a set holds what can't be in one");
  }
  if (!arguments.empty()) {
    const bool turns = token == Token::encode || token == Token::bytearray;
    const bool moves = token == Token::frombuffer && arguments.size() == 5;
    if (moves || (turns && !is_latin1(arguments[0]))) charge_copy(arguments[0]);
    if (token == Token::scalar) charge_copy(arguments.back());
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
  const bool wrapper = token == Token::array_wrapper || token == Token::sidecar_wrapper;
  if (!wrapper || !is_tuple(arguments) || !arguments.items().empty()) {
    unsafe("the pickle makes an object of a class that is not on the list");
  }
  push(Value(std::make_shared<WrapperNode>(token == Token::sidecar_wrapper)));
}

void PickleMachine::build() {
  const auto fail = [&](const std::string& what) { damaged(what); };
  const Value state = pop();
  const Value object = top();
  try {
    if (object.kind() == dynamic::Kind::dtype) {
      charge_dtype(state);
      set_dtype_state(dynamic::mutable_node<dynamic::DTypeNode>(object), state, fail);
      count_steps(dynamic::dtype_parts(object.dtype()));
    } else if (object.kind() == dynamic::Kind::array) {
      if (is_tuple(state) && state.size() == 5 && state[4].kind() == dynamic::Kind::text &&
          !is_latin1(state[4])) {
        charge_copy(state[4]);
      }
      if (is_tuple(state) && state.size() == 5) charge_parts(state[4]);
      set_array_state(dynamic::mutable_node<dynamic::ArrayNode>(object), state, fail);
    } else if (const auto* wrapper = dynamic_cast<const WrapperNode*>(object.node())) {
      Value array = wrapper->companion ? build_companion(state) : build_wrapper(state);
      pop();
      array.kind() == dynamic::Kind::objects ? push_container(std::move(array))
                                             : push(std::move(array));
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
  if (state.kind() != dynamic::Kind::dict) damaged("an array has no description");
  static constexpr std::string_view known[] = {
      "subclass", "shape", "order", "dtype", "allow_mmap", "numpy_array_alignment_bytes"};
  for (const auto& [key, part] : state.entries()) {
    const bool good =
        key.kind() == dynamic::Kind::text &&
        std::find(std::begin(known), std::end(known), key.as_text()) != std::end(known);
    if (!good) damaged("an array's description has an unknown attribute");
  }
  const auto part = [&](std::size_t i) -> const Value& {
    const Value* found = state.find(known[i]);
    if (found == nullptr) damaged("an array's description lacks an attribute");
    return *found;
  };
  const auto subclass = as_token(part(0));
  const Value &order = part(2), &type = part(3);
  const bool good =
      (subclass == Token::ndarray || subclass == Token::matrix) &&
      order.kind() == dynamic::Kind::text && (order.as_text() == "C" || order.as_text() == "F") &&
      type.kind() == dynamic::Kind::dtype && dynamic::node_as<dynamic::DTypeNode>(type).built &&
      part(4).kind() == dynamic::Kind::boolean && state.entries().size() <= std::size(known);
  if (!good) damaged("an array's description is unsound");
  Shape shape = shape_argument(part(1), fail);
  const std::size_t bytes = dynamic::checked_bytes(type.dtype(), shape);
  if (frame_end_ != 0 && in_.position() != frame_end_) damaged("a frame runs into an array");
  frame_end_ = 0;
  if (type.dtype().has_objects()) return nested_array(shape);
  const Value* alignment = state.find(known[5]);
  if (alignment != nullptr && !alignment->is_none()) {
    if (alignment->kind() != dynamic::Kind::integer || alignment->as_int() < 1 ||
        alignment->as_int() > 255) {
      damaged("an array has an impossible alignment");
    }
    in_.skip(number<unsigned char>());
  }
  Value::Elements elements{type.dtype(), std::move(shape),
                           order.as_text() == "F" ? Order::fortran : Order::c, in_.elements(bytes),
                           nullptr};
  if (elements.storage) elements.data = elements.storage->data();
  return Value(std::move(elements));
}

/// The array that lies in a file beside this one, as joblib before 0.10 wrote it.
Value PickleMachine::build_companion(const Value& state) {
  const auto fail = [&](const std::string& what) { damaged(what); };
  if (nested_ > 0) unsafe("a wrapper of joblib's inside a nested pickle");
  const Value* name = state.kind() == dynamic::Kind::dict ? state.find("filename") : nullptr;
  if (name == nullptr) damaged("an array's description names no file");
  const std::string file = bytes_argument(*name, fail);
  // Each array had a file of its own; a pickle that names one over and over wants memory.
  if (!context_.companions.insert(file).second) damaged("two arrays lie in one file");
  const Value* arguments = state.find("init_args");
  if (arguments == nullptr) return read_companion(in_, file);
  const Value* rest = state.find("state");
  if (arguments->kind() != dynamic::Kind::tuple || rest == nullptr ||
      rest->kind() != dynamic::Kind::tuple) {
    damaged("an array's description is unsound");
  }
  Value array = call(Token::reconstruct, arguments->items());
  Items parts = rest->items();
  parts.push_back(read_compressed_companion(in_, file));
  set_array_state(dynamic::mutable_node<dynamic::ArrayNode>(array), Value::tuple(std::move(parts)),
                  fail);
  return array;
}

Value PickleMachine::nested_array(const Shape& shape) {
  if (nested_ >= max_nested) in_.limit("pickles nest too deep");
  KeepingMemo memo;
  PickleMachine inner(in_, context_, memo, nested_ + 1);
  Value value = inner.run();
  if (value.kind() != dynamic::Kind::objects || value.shape() != shape) {
    damaged("an array of objects does not hold what it says");
  }
  return value;
}

namespace {

Value checked(formats::Input& in, PickleContext& context, Value value) {
  check_value(
      value, in.options().limits, [&](const std::string& what) { in.damaged(what); },
      [&](const std::string& what) { in.limit(what); });
  context.containers.clear();
  return value;
}

}  // namespace

Value read_pickle(formats::Input& in, const PickleOutline* outline) {
  PickleContext context(in.options().limits);
  KeepingMemo memo(outline != nullptr ? &outline->fetched : nullptr);
  PickleMachine machine(in, context, memo, 0);
  return checked(in, context, machine.run());
}

Value read_object_array(formats::Input& in, const Shape& shape) {
  PickleContext context(in.options().limits);
  KeepingMemo memo;
  PickleMachine machine(in, context, memo, 1);
  Value value = machine.run();
  if (value.kind() != dynamic::Kind::objects || value.shape() != shape) {
    in.damaged("the pickle behind the header is not the array that the header describes");
  }
  return checked(in, context, std::move(value));
}

}  // namespace hoist::detail::pickle
