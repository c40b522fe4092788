// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/decoder.hpp>

namespace hoist::detail {

namespace {

/// The largest count of elements that take no bytes, which can't be checked against the bytes left.
constexpr std::size_t max_empty_elements = std::size_t{1} << 24;

}  // namespace

DecodeSource::~DecodeSource() = default;

Decoder::Decoder(DecodeSource& source) : source_(source) {}

Decoder::~Decoder() = default;

void Decoder::forget_objects() {
  shared_.clear();
  classes_.clear();
}

void Decoder::throw_damaged() {
  throw DamagedData("the encoded value is damaged: its parts don't fit together");
}

std::size_t Decoder::length(bool no_bytes) {
  std::size_t n = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const auto byte = static_cast<std::size_t>(*take(1));
    if (shift == 63 && byte > 1) throw_damaged();
    n |= (byte & 0x7F) << shift;
    if (byte < 0x80) {
      if (no_bytes && n > max_empty_elements) {
        throw LimitExceeded("a sequence of " + std::to_string(n) + " empty elements");
      }
      return n;
    }
  }
  throw_damaged();
}

void Decoder::refill(std::size_t n) {
  // The encoder never splits a primitive, so a stretch ends where the next one begins.
  if (at_ != end_) throw_damaged();
  const auto next = source_.next_meta();
  if (next.size() < n) throw_damaged();
  at_ = next.data();
  end_ = at_ + next.size();
}

std::shared_ptr<void> Decoder::shared(std::size_t index, const void* tag) {
  if (index == shared_.size()) return nullptr;
  if (index > shared_.size() || shared_[index].tag != tag) throw_damaged();
  return shared_[index].object;
}

void Decoder::add_shared(std::shared_ptr<void> object, const void* tag) {
  shared_.push_back({std::move(object), tag});
}

const ClassForm* Decoder::known_class(std::size_t number) const {
  if (number > classes_.size()) throw_damaged();
  return number < classes_.size() ? classes_[number] : nullptr;
}

void Decoder::add_class(const ClassForm* form) { classes_.push_back(form); }

void Decoder::finish() {
  if (at_ != end_ || !source_.next_meta().empty()) throw_damaged();
}

EncodedSource::EncodedSource(const Encoded& encoded)
    : EncodedSource(encoded.meta, encoded.segments) {}

std::span<const std::byte> EncodedSource::next_meta() { return std::exchange(meta_, {}); }

void EncodedSource::expect_segment(std::size_t bytes) {
  if (segments_.empty() || segments_.front().bytes != bytes) Decoder::throw_damaged();
}

void EncodedSource::read_segment(std::byte* to, std::size_t bytes) {
  std::memcpy(to, segments_.front().data, bytes);
  segments_ = segments_.subspan(1);
}

std::shared_ptr<Storage> EncodedSource::take_segment(std::size_t bytes, bool writable) {
  const Segment& segment = segments_.front();
  std::shared_ptr<Storage> storage;
  if (segment.owner != nullptr && segment.owner->data() == segment.data &&
      (segment.owner->writable() || !writable)) {
    storage = segment.owner;
  } else {
    storage = allocate_storage(bytes, Fill::none);
    std::memcpy(storage->data(), segment.data, bytes);
  }
  segments_ = segments_.subspan(1);
  return storage;
}

}  // namespace hoist::detail
