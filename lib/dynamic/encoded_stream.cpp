// SPDX-License-Identifier: BSD-3-Clause
#include "dynamic/encoded_stream.hpp"

#include <exception>
#include <iterator>
#include <optional>
#include <vector>

#include "base/coroutine.hpp"

namespace hoist::detail::dynamic {

namespace {

/// What one half encodes and the other reads; they take turns.
class EncodedStream final : public EncodeSink, public SharingSource {
 public:
  /// `half`: the one that does not call from here, but runs when it is needed.
  explicit EncodedStream(std::function<void()> half) : half_(std::move(half)) {}

  void emit(std::span<const std::byte> meta, std::span<Segment> segments) override {
    segments_.assign(std::move_iterator(segments.begin()), std::move_iterator(segments.end()));
    refill(meta, segments_);
    take_turns();
  }

  /// What is encoded here is what was there.
  std::uint64_t trusted() const override { return ~std::uint64_t{0}; }

  bool begun() const { return coroutine_.has_value(); }
  /// Nothing is encoded any more.
  void end() { take_turns(); }

 private:
  void used_up() override { take_turns(); }

  void take_turns() {
    if (!coroutine_) coroutine_.emplace(half_);
    if (coroutine_->inside()) return coroutine_->suspend();
    // Users' code between here and the caller may have caught what the other half threw.
    if (failure_) std::rethrow_exception(failure_);
    if (coroutine_->done()) return;
    try {
      coroutine_->resume();
    } catch (...) {
      failure_ = std::current_exception();
      throw;
    }
  }

  std::function<void()> half_;
  std::vector<Segment> segments_;
  std::optional<base::Coroutine> coroutine_;
  std::exception_ptr failure_;
};

}  // namespace

void read_while_encoding(const std::function<void(Encoder&)>& encode,
                         const std::function<void(DecodeSource&)>& read) {
  EncodedStream stream([&] { read(stream); });
  Encoder encoder(&stream);
  encode(encoder);
  if (stream.begun()) {
    encoder.finish();
    return stream.end();
  }
  Encoded whole = encoder.take();
  SharingSource source(whole, nullptr);
  read(source);
}

void encode_while_reading(const std::function<void(EncodeSink&)>& encode,
                          const std::function<void(DecodeSource&)>& read) {
  EncodedStream stream([&] { encode(stream); });
  read(stream);
}

}  // namespace hoist::detail::dynamic
