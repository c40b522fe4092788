// SPDX-License-Identifier: BSD-3-Clause
#include "base/byte_streams.hpp"

#include <algorithm>
#include <cstring>

namespace hoist::detail::base {

std::size_t SpanSource::read(std::byte* to, std::size_t n) {
  n = std::min(n, left_.size());
  if (n > 0) std::memcpy(to, left_.data(), n);
  left_ = left_.subspan(n);
  return n;
}

void PeekableSource::fill(std::size_t n) {
  if (buffered() >= n) return;
  if (at_ > 0) std::memmove(buffer_.data(), buffer_.data() + at_, buffered());
  end_ -= at_;
  at_ = 0;
  const std::size_t wanted = std::max(n, ahead_);
  if (buffer_.size() < wanted) buffer_.resize(wanted);
  end_ += fetch(buffer_.data() + end_, wanted - end_);
}

std::span<const std::byte> PeekableSource::peek(std::size_t n) {
  fill(n);
  return {buffer_.data() + at_, std::min(n, buffered())};
}

std::span<const std::byte> PeekableSource::some() {
  fill(1);
  return {buffer_.data() + at_, buffered()};
}

void PeekableSource::put_back(std::span<const std::byte> bytes) {
  if (at_ < bytes.size()) {
    const std::size_t more = bytes.size() - at_;
    buffer_.insert(buffer_.begin(), more, std::byte{});
    at_ += more;
    end_ += more;
  }
  at_ -= bytes.size();
  if (!bytes.empty()) std::memcpy(buffer_.data() + at_, bytes.data(), bytes.size());
}

void VectorSink::write(std::span<const std::byte> bytes) {
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

std::size_t PeekableSource::read(std::byte* to, std::size_t n) {
  std::size_t done = 0;
  const auto copy = [&] {
    const std::size_t piece = std::min(n - done, buffered());
    if (piece > 0) std::memcpy(to + done, buffer_.data() + at_, piece);
    at_ += piece;
    done += piece;
  };
  copy();
  if (done == n) return done;
  if (n - done >= ahead_) return done + fetch(to + done, n - done);
  fill(n - done);
  copy();
  return done;
}

std::optional<std::uint64_t> PeekedSource::left() const {
  const auto more = in_.left();
  return more ? std::optional(*more + buffered()) : std::nullopt;
}

}  // namespace hoist::detail::base
