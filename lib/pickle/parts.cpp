// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>

#include "pickle/machine.hpp"
#include "pickle/pickle.hpp"

// Passes a pickle on piecewise. The result of the first pass is not trusted: the file may have
// changed.

namespace hoist::detail::pickle {

namespace {

/// Stands on the stack for a container that is passed on piecewise.
struct GivenNode final : Value::Node {
  GivenNode() : Node(dynamic::Kind::internal) {}
};

constexpr const char* changed = "a container has other parts than were counted";

}  // namespace

bool PickleMachine::is_given(const Value& value) {
  return value.kind() == dynamic::Kind::internal &&
         dynamic_cast<const GivenNode*>(value.node()) != nullptr;
}

void PickleMachine::give(const PickleOutline& outline, dynamic::ValueSink& to) {
  outline_ = &outline;
  sink_ = &to;
  Value value = run();
  if (!open_.empty()) damaged(changed);
  if (!is_given(value)) give_part(std::move(value));
}

bool PickleMachine::begin_giving(std::size_t number, dynamic::Kind kind) {
  using Container = PickleOutline::Container;
  if (outline_ == nullptr || number >= outline_->containers.size()) return false;
  const Container& container = outline_->containers[number];
  const bool is_part = open_.empty() ? container.parent == Container::none && stack_.empty()
                                     : container.parent == open_.back().number;
  if (container.size == Container::none || !is_part) return false;
  if (!open_.empty()) {
    // What stands on the stack above the container around this one belongs into that, too.
    const std::size_t from = open_.back().at + 1;
    if (!marks_.empty() && marks_.back() > from) damaged(changed);
    const auto first = stack_.begin() + static_cast<std::ptrdiff_t>(from);
    Items before(std::make_move_iterator(first), std::make_move_iterator(stack_.end()));
    stack_.erase(first, stack_.end());
    give_items(std::move(before));
    if (open_.empty() || open_.back().at + 1 != from || open_.back().wants_hashable()) {
      damaged(changed);
    }
  }
  if (open_.size() >= in_.options().limits.max_depth) {
    in_.limit("its values nest deeper than Limits::max_depth");
  }
  if (!sink_->begin(kind, container.size)) return false;
  count_expanded(1);
  if (!open_.empty()) --open_.back().left;
  const std::uint64_t parts = (kind == dynamic::Kind::dict ? 2 : 1) * std::uint64_t{container.size};
  open_.push_back({number, stack_.size(), kind, parts});
  push(Value(std::make_shared<GivenNode>()));
  end_full();
  return true;
}

/// Of the container on top of the stack.
void PickleMachine::give_items(Items items) {
  for (Value& item : items) {
    if (is_given(item)) continue;
    if (open_.empty() || open_.back().at + 1 != stack_.size()) damaged(changed);
    give_part(std::move(item));
  }
  // What the items took is free again, unless the memo keeps some of it.
  if (memory_then_ != 0) context_.memory = memory_then_;
  memory_then_ = context_.memory;
}

void PickleMachine::give_part(Value value) {
  const bool plain =
      value.node() == nullptr || (value.kind() == dynamic::Kind::text && !is_latin1(value));
  if (plain) {
    count_expanded(1);
  } else {
    Limits limits = in_.options().limits;
    limits.max_depth -= std::min(limits.max_depth, open_.size());
    count_expanded(check_value(
        value, limits, [&](const std::string& what) { damaged(what); },
        [&](const std::string& what) { in_.limit(what); }));
  }
  if (!open_.empty()) {
    if (open_.back().wants_hashable() && !plain && !all_hashable({value})) {
      damaged("a value can't be in a set, or a key");
    }
    --open_.back().left;
  }
  sink_->part(std::move(value));
  end_full();
}

/// An open container is one that wants at least one more part.
void PickleMachine::end_full() {
  while (!open_.empty() && open_.back().left == 0) {
    open_.pop_back();
    sink_->end();
  }
}

void PickleMachine::count_expanded(std::uint64_t n) {
  context_.expanded += n;  // each is under the limit: no overflow
  if (context_.expanded > in_.options().limits.max_expanded) {
    in_.limit("written out without sharing, its values are more than Limits::max_expanded");
  }
}

void give_pickle(formats::Input& in, const PickleOutline& outline, dynamic::ValueSink& to) {
  PickleContext context(in.options().limits);
  KeepingMemo memo(&outline.fetched);
  PickleMachine(in, context, memo, 0).give(outline, to);
  context.containers.clear();  // none holds itself, and they may have been kept
}

}  // namespace hoist::detail::pickle
