// SPDX-License-Identifier: BSD-3-Clause
#include "dynamic/encoded_stream.hpp"

#include <optional>
#include <vector>

#include "base/coroutine.hpp"

namespace hoist::detail {

namespace {

/// What one half encodes and the other reads; they take turns.
class EncodedStream final : public EncodeSink, public SharingSource {
 public:
  explicit EncodedStream(std::function<void(DecodeSource&)> read) : read_(std::move(read)) {}

  void emit(std::span<const std::byte> meta, std::span<const Segment> segments) override {
    segments_.assign(segments.begin(), segments.end());
    refill(meta, segments_);
    if (!reader_) reader_.emplace([this] { read_(*this); });
    reader_->resume();
  }

  bool begun() const { return reader_.has_value(); }
  /// Nothing comes any more.
  void end() {
    while (!reader_->done()) reader_->resume();
  }

 private:
  void used_up() override { reader_->suspend(); }

  std::function<void(DecodeSource&)> read_;
  std::vector<Segment> segments_;
  std::optional<Coroutine> reader_;
};

}  // namespace

void read_while_encoding(const std::function<void(Encoder&)>& encode,
                         const std::function<void(DecodeSource&)>& read) {
  EncodedStream stream(read);
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

}  // namespace hoist::detail
