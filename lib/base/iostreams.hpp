// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <iosfwd>
#include <span>

#include "base/byte_streams.hpp"

namespace hoist::detail::base {

/// Writes to a standard stream. Throws SystemError if that fails.
class OstreamSink final : public ByteSink {
 public:
  explicit OstreamSink(std::ostream& out) : out_(out) {}
  void write(std::span<const std::byte> bytes) override;

 private:
  std::ostream& out_;
};

/// Reads no more from a standard stream than is asked for, so that the rest stays in the stream.
/// peek() takes its bytes from the stream, too.
class IstreamSource final : public PeekableSource {
 public:
  explicit IstreamSource(std::istream& in) : PeekableSource(0), in_(in) {}

 private:
  std::size_t fetch(std::byte* to, std::size_t n) override;

  std::istream& in_;
};

}  // namespace hoist::detail::base
