// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/bytes.hpp>
#include <hoist/dtype.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hoist::detail::pickle {

/// Writes opcodes of pickle's protocol 4 for values without parts, tuples and NumPy's dtypes. The
/// bytes are buffered until flush().
class PickleOpcodes {
 public:
  explicit PickleOpcodes(ByteSink& out) : out_(out) {}

  /// Bytes written so far.
  std::uint64_t position() const { return position_; }
  void flush();
  /// What is written from now on is appended to a text, too; null: no more.
  void copy_to(std::string* copy) { copy_ = copy; }
  bool copies() const { return copy_ != nullptr; }

  void text(std::string_view bytes) {
    position_ += bytes.size();
    if (copy_ != nullptr) *copy_ += bytes;
    if (bytes.size() >= buffer_bytes) return text_at_once(bytes);
    buffer_ += bytes;
    if (buffer_.size() >= buffer_bytes) flush();
  }
  template <class T>
  void number(T value) {
    text({reinterpret_cast<const char*>(&value), sizeof value});
  }
  void op(unsigned char code) { number(code); }

  void boolean(bool value) { op(value ? 0x88 : 0x89); }
  void integer(std::int64_t value);
  /// An integer in two's complement, least significant byte first.
  void long_bytes(std::string_view bytes);
  void real(double value);
  /// Text, or bytes where it is no UTF-8.
  void string(std::string_view value);
  void bytes(std::string_view value);
  void global(std::string_view module, std::string_view name);

  /// A tuple of what `put_items` puts, `n` items.
  template <class PutItems>
  void tuple(std::size_t n, PutItems put_items) {
    if (n > 3) op('(');
    put_items();
    end_tuple(n);
  }
  void end_tuple(std::size_t n) {
    op(n == 0 ? ')' : n > 3 ? 't' : static_cast<unsigned char>(0x84 + n));
  }
  void extents(const Shape& shape);
  void dtype(const DType& type);

  /// Keeps what is on the stack under a number, and fetches it.
  void keep(std::uint32_t number) { memo('q', 'r', number); }
  void fetch(std::uint32_t number) { memo('h', 'j', number); }

 private:
  static constexpr std::size_t buffer_bytes = std::size_t{64} << 10;

  void text_at_once(std::string_view bytes);
  void fields(const std::vector<DType::Field>& all);
  void memo(unsigned char short_op, unsigned char long_op, std::uint32_t index);

  ByteSink& out_;
  std::uint64_t position_ = 0;
  std::string buffer_;
  std::string* copy_ = nullptr;
};

}  // namespace hoist::detail::pickle
