// SPDX-License-Identifier: BSD-3-Clause
//
// Which alternative of a variant takes a value.

#include <memory>
#include <utility>

#include "dynamic/value_writer.hpp"

namespace hoist::detail::dynamic {

std::size_t ValueWriter::choose(const Node& node, const Value& value) {
  const std::pair key(&node, value.node());
  if (const auto known = choices_->find(key); value.node() != nullptr && known != choices_->end()) {
    return known->second.alternative;
  }
  std::size_t chosen = 0;
  for (; chosen < node.parts.size(); ++chosen) {
    // Not on the stack: they nest as deep as the value.
    const auto attempt = std::make_unique<ValueWriter>(how_);
    attempt->choices_ = choices_;
    try {
      attempt->write(node.part(chosen), value);
      break;
    } catch (const WrongType&) {
    }
  }
  const bool has_parts = value.kind() == Kind::list || value.kind() == Kind::tuple ||
                         value.kind() == Kind::set || value.kind() == Kind::frozen_set ||
                         value.kind() == Kind::dict || value.kind() == Kind::objects;
  if (has_parts) choices_->emplace(key, Choice{chosen, value});
  return chosen;
}

void ValueWriter::variant(const Node& node, const Value& value) {
  const bool outermost = choices_ == nullptr;
  if (outermost) choices_ = std::make_shared<Choices>();
  const std::size_t chosen = choose(node, value);
  if (chosen == node.parts.size()) {
    mismatch("is " + value.kind_name() + ", which no alternative of " + cut(node.text) + " takes");
  }
  encoder_.length(chosen);
  write(node.part(chosen), value);
  if (outermost) choices_.reset();
}

}  // namespace hoist::detail::dynamic
