// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/bytes.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace hoist::detail::base {

/// Bytes in memory as a source. Does not own them.
class SpanSource final : public ByteSource {
 public:
  explicit SpanSource(std::span<const std::byte> bytes) : left_(bytes) {}
  std::size_t read(std::byte* to, std::size_t n) override;
  std::optional<std::uint64_t> left() const override { return left_.size(); }

 private:
  std::span<const std::byte> left_;
};

/// Appends to a vector, which it does not own.
class VectorSink final : public ByteSink {
 public:
  explicit VectorSink(std::vector<std::byte>& bytes) : bytes_(bytes) {}
  void write(std::span<const std::byte> bytes) override;

 private:
  std::vector<std::byte>& bytes_;
};

/// Passes on what it is given, and counts it. Does not own the sink behind it.
class CountingSink final : public ByteSink {
 public:
  explicit CountingSink(ByteSink& out) : out_(out) {}
  void write(std::span<const std::byte> bytes) override {
    out_.write(bytes);
    count_ += bytes.size();
  }
  std::uint64_t count() const noexcept { return count_; }

 private:
  ByteSink& out_;
  std::uint64_t count_ = 0;
};

/// A source whose next bytes can be looked at before they are read. A derived class fetches them.
class PeekableSource : public ByteSource {
 public:
  std::size_t read(std::byte* to, std::size_t n) final;

  /// The next `n` bytes, fewer only at the end. Valid until the next call.
  std::span<const std::byte> peek(std::size_t n);
  /// All buffered bytes; fetches some if there are none. Empty only at the end.
  std::span<const std::byte> some();
  /// Passes over the first `n` bytes of what `peek` or `some` returned.
  void take(std::size_t n) { at_ += n; }
  /// Puts bytes in front of the rest.
  void put_back(std::span<const std::byte> bytes);

 protected:
  /// `ahead` is how many bytes are fetched at once if fewer are asked for. With 0, no more are
  /// fetched than are asked for.
  explicit PeekableSource(std::size_t ahead) : ahead_(ahead) {}

  /// As `read`, but of bytes that were not fetched before.
  virtual std::size_t fetch(std::byte* to, std::size_t n) = 0;

  std::size_t buffered() const noexcept { return end_ - at_; }
  void drop_buffered() noexcept { at_ = end_ = 0; }

 private:
  /// Fetches until the buffer has `n` bytes, fewer only at the end.
  void fill(std::size_t n);

  std::size_t ahead_;
  std::vector<std::byte> buffer_;
  std::size_t at_ = 0;
  std::size_t end_ = 0;
};

/// Makes any source peekable. Does not own it. Bytes that were fetched ahead are missing from it.
class PeekedSource : public PeekableSource {
 public:
  explicit PeekedSource(ByteSource& in, std::size_t ahead = 0) : PeekableSource(ahead), in_(in) {}
  std::optional<std::uint64_t> left() const override;

 private:
  std::size_t fetch(std::byte* to, std::size_t n) override { return in_.read(to, n); }

  ByteSource& in_;
};

}  // namespace hoist::detail::base
