// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/bytes.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

namespace hoist::detail::codecs {

/// Compressed input that can be looked at before it is taken. However few bytes the source yields
/// at a time, what is asked for is there unless the input ends.
class Input {
 public:
  explicit Input(ByteSource& in) : in_(in) {}

  /// At least `n` bytes, or all there are; more where they are at hand. Valid until the next call.
  std::span<const std::byte> peek(std::size_t n) {
    if (end_ - at_ < n) {
      if (at_ > 0) {
        std::memmove(buffer_.data(), buffer_.data() + at_, end_ - at_);
        end_ -= at_;
        at_ = 0;
      }
      if (buffer_.size() < n) buffer_.resize(std::max(n, buffer_bytes));
      end_ += in_.read(buffer_.data() + end_, buffer_.size() - end_);
    }
    return {buffer_.data() + at_, end_ - at_};
  }
  /// The bytes at hand; fetches some if there are none. Empty at the end.
  std::span<const std::byte> some() { return peek(1); }
  void take(std::size_t n) { at_ += n; }

  /// Puts bytes back in front of the rest.
  void put_back(std::span<const std::byte> bytes) {
    if (at_ < bytes.size()) {
      const std::size_t more = bytes.size() - at_;
      buffer_.insert(buffer_.begin(), more, std::byte{});
      at_ += more;
      end_ += more;
    }
    at_ -= bytes.size();
    std::memcpy(buffer_.data() + at_, bytes.data(), bytes.size());
  }

 private:
  static constexpr std::size_t buffer_bytes = std::size_t{128} << 10;

  ByteSource& in_;
  std::vector<std::byte> buffer_;
  std::size_t at_ = 0;
  std::size_t end_ = 0;
};

}  // namespace hoist::detail::codecs
