// SPDX-License-Identifier: BSD-3-Clause
#include "dynamic/text_builder.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "dynamic/elements.hpp"
#include "dynamic/value_node.hpp"

namespace hoist::detail::dynamic {

void TextBuilder::add_wide(char32_t code) {
  if (!wide_) {
    if (storage_ == nullptr) grow();
    const std::size_t wide = widened_bytes(data_, used_);
    take(widened(std::exchange(storage_, nullptr), used_, room_));
    used_ = wide;
    wide_ = true;
  }
  std::string utf8;
  append_code_point(utf8, code);
  for (const char c : utf8) put(static_cast<std::byte>(c));
}

Value TextBuilder::text() {
  if (storage_ != nullptr) return stored(Kind::text, !wide_);
  std::string utf8;
  for (std::size_t i = 0; i < used_; ++i) {
    append_code_point(utf8, std::to_integer<unsigned char>(data_[i]));
  }
  return Value(std::move(utf8));
}

Value TextBuilder::text_or_bytes() {
  const std::string_view all(reinterpret_cast<const char*>(data_), used_);
  if (storage_ == nullptr) return dynamic::text_or_bytes(std::string(all));
  return is_ascii(all) ? stored(Kind::text, true) : stored(Kind::bytes, false);
}

Value TextBuilder::stored(Kind kind, bool latin1) {
  storage_->shrink(used_);
  auto node = std::make_shared<TextNode>(kind, std::move(storage_), used_);
  node->latin1 = latin1;
  return Value(std::move(node));
}

void TextBuilder::take(std::shared_ptr<Storage> storage) {
  storage_ = std::move(storage);
  data_ = storage_->data();
  room_ = storage_->bytes();
}

void TextBuilder::grow() {
  constexpr std::size_t step = std::size_t{1} << 20;
  auto larger = allocate_storage(std::max(2 * room_, std::size_t{64} << 10), Fill::none);
  for (std::size_t done = 0; done < used_;) {
    const std::size_t end = std::min(used_, done + step);
    std::memcpy(larger->data() + done, data_ + done, end - done);
    done = end;
    if (storage_ != nullptr) storage_->give_up(done);
  }
  take(std::move(larger));
}

Value text_or_bytes(std::string bytes) {
  return is_ascii(bytes) ? Value(std::move(bytes)) : Value::bytes(std::move(bytes));
}

}  // namespace hoist::detail::dynamic
