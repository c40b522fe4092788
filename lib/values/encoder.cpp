// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/encoder.hpp>

#include <algorithm>
#include <string>

namespace hoist::detail {

namespace {

/// Bytes of the meta stream, or of segments that only the encoder owns, that are collected before
/// they are handed to the sink.
constexpr std::size_t flush_bytes = std::size_t{1} << 20;

}  // namespace

EncodeSink::~EncodeSink() = default;

void throw_too_deep() {
  throw LimitExceeded("objects nest more than " + std::to_string(max_depth) + " deep");
}

Encoder::Encoder(EncodeSink* sink) : sink_(sink) {}

Encoder::~Encoder() = default;

void Encoder::make_room(std::size_t n) {
  if (sink_ != nullptr && (meta_bytes_ >= flush_bytes || owned_bytes_ >= flush_bytes)) flush();
  if (meta_.size() - meta_bytes_ < n) {
    meta_.resize(std::max({meta_.size() * 2, meta_bytes_ + n, std::size_t{256}}));
  }
}

void Encoder::segment(Segment segment) {
  if (user_code_ > 0 && segment.owner == nullptr) {
    if (sink_ != nullptr) {
      // Written at once, while the member that owns the bytes certainly exists.
      segments_.push_back(std::move(segment));
      flush();
      return;
    }
    auto copy = allocate_storage(segment.bytes, Fill::none);
    std::memcpy(copy->data(), segment.data, segment.bytes);
    segment.data = copy->data();
    segment.owner = std::move(copy);
  }
  if (segment.owner != nullptr) owned_bytes_ += segment.bytes;
  segments_.push_back(std::move(segment));
  // Handed over with whatever comes next (the buffer is full): until then the caller may release
  // what it has just lent, so that the sink becomes its only owner.
  if (sink_ != nullptr && owned_bytes_ >= flush_bytes) meta_.resize(meta_bytes_);
}

Encoder::Part Encoder::begin_part() {
  scalar(std::uint8_t{0});  // end_part may change it
  return {meta_bytes_, segments_.size(), ties_};
}

void Encoder::end_part(const Part& part) {
  if (sink_ != nullptr || ties_ != part.ties) return;
  const std::size_t meta = meta_bytes_ - part.meta;
  const auto blocks = std::span(segments_).subspan(part.segments);
  std::size_t bytes = std::max<std::size_t>(1, meta);
  std::size_t composed = meta;  // bytes that are not as they lie in the value's memory
  for (const Segment& block : blocks) {
    bytes += block.bytes;
    if (block.owner != nullptr) composed += block.bytes;
  }
  if (composed < large_storage) return;

  if (packs_used_ == packs_.size()) packs_.emplace_back();
  // It never shrinks: what is resized again would be filled with zeros again.
  std::vector<std::byte>& packed = packs_[packs_used_++];
  if (packed.size() < bytes) packed.resize(bytes);
  std::memcpy(packed.data(), meta_.data() + part.meta, meta);
  std::vector<std::pair<std::size_t, std::size_t>> places;
  std::size_t at = std::max<std::size_t>(1, meta);
  for (const Segment& block : blocks) {
    std::memcpy(packed.data() + at, block.data, block.bytes);
    places.emplace_back(block.bytes, at);
    at += block.bytes;
  }
  meta_bytes_ = part.meta;
  segments_.resize(part.segments);
  meta_[part.meta - 1] = std::byte{1};
  length(places.size());
  length(meta);
  length(bytes);
  array_block(packed.data(), bytes, nullptr);
  for (const auto& [size, offset] : places) {
    length(size);
    length(offset);
  }
}

std::pair<std::size_t, bool> Encoder::shared(const void* object, const void* tag) {
  ++ties_;
  const auto [at, is_new] = shared_.emplace(std::pair(object, tag), shared_.size());
  return {at->second, is_new};
}

std::pair<std::size_t, bool> Encoder::class_number(const ClassForm* form) {
  ++ties_;
  const auto found = std::find(classes_.begin(), classes_.end(), form);
  const auto number = static_cast<std::size_t>(found - classes_.begin());
  const bool is_new = found == classes_.end();
  if (is_new) classes_.push_back(form);
  return {number, is_new};
}

void Encoder::flush() {
  if (meta_bytes_ == 0 && segments_.empty()) return;
  sink_->emit(meta(), segments_);
  meta_bytes_ = 0;
  segments_.clear();
  owned_bytes_ = 0;
}

void Encoder::finish() { flush(); }

void Encoder::forget_objects() noexcept {
  segments_.clear();
  shared_.clear();
  classes_.clear();
}

Encoded Encoder::take() {
  meta_.resize(std::exchange(meta_bytes_, 0));
  return {std::move(meta_), std::move(segments_)};
}

}  // namespace hoist::detail
