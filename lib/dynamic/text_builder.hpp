// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/value.hpp>

#include <array>
#include <cstddef>
#include <memory>
#include <string>

namespace hoist::detail::dynamic {

/// Text and bytes of this size and more are in a Storage, which an array can take over. Smaller
/// ones are copied into each array made of them: at most a hundred times the opcodes that ask for
/// it.
inline constexpr std::size_t array_bytes = 4096;

/// Collects the characters of a text whose length is not known in advance: as Latin-1 as long as
/// all of them are, then as UTF-8. Its memory grows with what is added.
class TextBuilder {
 public:
  void add(char32_t code) {
    code < 0x100 && !wide_ ? put(static_cast<std::byte>(code)) : add_wide(code);
  }

  /// The text, which may still be Latin-1 (see TextNode).
  Value text();
  /// A string of Python 2, which may stand for either: text if it is ASCII, else bytes. No
  /// character above 255 may have been added.
  Value text_or_bytes();

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

/// Likewise for a string of less than `array_bytes`.
Value text_or_bytes(std::string bytes);

}  // namespace hoist::detail::dynamic
