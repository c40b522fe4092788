// SPDX-License-Identifier: BSD-3-Clause
#include "codecs/open.hpp"

#include <hoist/error.hpp>

#include <algorithm>
#include <string>

#include "base/expansion.hpp"
#include "codecs/skippable.hpp"
#include "os/run_parallel.hpp"

namespace hoist::detail::codecs {

namespace {

std::uint64_t most_bytes(const Codec& codec, ByteSource& in, const Limits& limits) {
  const auto compressed = in.left();
  if (!compressed) return limits.max_bytes;
  const std::uint64_t most = std::max(limits.max_bytes, base::expanded(*compressed));
  const auto possible = codec.most_from(*compressed);
  return possible ? std::min(most, *possible) : most;
}

class LimitedSource final : public ByteSource {
 public:
  LimitedSource(std::unique_ptr<ByteSource> source, std::uint64_t most)
      : source_(std::move(source)), most_(most) {}

  std::size_t read(std::byte* to, std::size_t n) override {
    if (n <= most_ - done_) {
      const std::size_t got = source_->read(to, n);
      done_ += got;
      return got;
    }
    const auto allowed = static_cast<std::size_t>(most_ - done_);
    const std::size_t got = source_->read(to, allowed);
    done_ += got;
    std::byte beyond;
    if (got == allowed && source_->read(&beyond, 1) != 0) {
      throw LimitExceeded("the compressed data yield more than " + std::to_string(most_) +
                          " bytes; if you trust them, raise LoadOptions::limits.max_bytes");
    }
    return got;
  }
  std::optional<std::uint64_t> left() const override { return most_ - done_; }

 private:
  std::unique_ptr<ByteSource> source_;
  std::uint64_t most_;
  std::uint64_t done_ = 0;
};

}  // namespace

const Codec* codec_of(base::PeekableSource& in) {
  // What is compressed may stand behind long frames of other programs' information.
  constexpr std::size_t most_skipped = std::size_t{1} << 20;
  const auto first = in.peek(first_bytes);
  const bool is_behind = begins_skippable_frame(first) && behind_skippable_frames(first).empty();
  return codec_for_content(is_behind ? in.peek(most_skipped) : first);
}

std::unique_ptr<ByteSource> open_compressed(const Codec& codec, ByteSource& in,
                                            const Limits& limits, unsigned threads) {
  const std::uint64_t most = most_bytes(codec, in, limits);
  return std::make_unique<LimitedSource>(codec.decompressor(in, os::transfer_threads(threads)),
                                         most);
}

}  // namespace hoist::detail::codecs
