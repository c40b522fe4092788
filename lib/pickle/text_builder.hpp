// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/value.hpp>

#include <array>
#include <cstddef>
#include <memory>
#include <string>

namespace hoist::detail::pickle {

/// From here on text and bytes may be the elements of an array, and count as such. What is smaller is
/// copied into each array that is made of it: at most a hundred times the opcodes that ask for it.
inline constexpr std::size_t array_bytes = 4096;

/// Text of a length that shows at its end: Latin-1 for as long as it is that, then UTF-8. Memory grows
/// with what is added.
class TextBuilder {
 public:
  void add(char32_t code) {
    code < 0x100 && !wide_ ? put(static_cast<std::byte>(code)) : add_wide(code);
  }

  /// The text, which may still be Latin-1 (see TextNode).
  Value text();
  /// What Python 2 has for text and bytes alike, if nothing above 255 has been added: text if it is ASCII.
  Value old_string();

 private:
  void put(std::byte byte) {
    if (used_ == room_) grow();
    data_[used_++] = byte;
  }
  void add_wide(char32_t code);
  void grow();
  void take(std::shared_ptr<Storage> storage);
  Value stored(Value::Kind kind, bool latin1);

  std::array<std::byte, array_bytes> first_;
  std::byte* data_ = first_.data();
  std::size_t room_ = array_bytes;
  std::size_t used_ = 0;
  std::shared_ptr<Storage> storage_;  // once it is larger than `first_`
  bool wide_ = false;
};

/// The same of bytes that are not large.
Value old_string(std::string bytes);

}  // namespace hoist::detail::pickle
