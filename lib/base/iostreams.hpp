// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/bytes.hpp>

#include <array>
#include <cstddef>
#include <iosfwd>
#include <span>

namespace hoist::detail::base {

/// Writes to a standard stream; SystemError where it goes bad.
class OstreamSink final : public ByteSink {
 public:
  explicit OstreamSink(std::ostream& out) : out_(out) {}
  void write(std::span<const std::byte> bytes) override;

 private:
  std::ostream& out_;
};

/// Reads from a standard stream just what is asked for, so that the rest stays in the stream.
class IstreamSource final : public ByteSource {
 public:
  explicit IstreamSource(std::istream& in) : in_(in) {}
  std::size_t read(std::byte* to, std::size_t n) override;
  /// The next bytes, at most `n` <= 64, fewer only at the end. They leave the stream, though not
  /// this source.
  std::span<const std::byte> peek(std::size_t n);

 private:
  std::size_t fetch(std::byte* to, std::size_t n);

  std::istream& in_;
  std::array<std::byte, 64> peeked_;
  std::size_t at_ = 0;
  std::size_t end_ = 0;
};

}  // namespace hoist::detail::base
