// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/hasher.hpp>

#include <algorithm>
#include <utility>

#include "base/wide_vectors.hpp"
#include "os/run_parallel.hpp"

#define XXH_STATIC_LINKING_ONLY  // the state's size, to put it on the stack

#if defined(__x86_64__)
#include <xxh_x86dispatch.h>  // lets each call take the widest vectors the processor has
#else
#include <xxhash.h>
#endif

namespace hoist::detail {

namespace {

constexpr std::size_t block_bytes = std::size_t{1} << 20;
/// Blocks from this size on are hashed on all cores; starting the threads costs some 20 us.
constexpr std::size_t parallel_from = std::size_t{32} << 20;

Digest to_digest(XXH128_hash_t hash) { return {.low = hash.low64, .high = hash.high64}; }

void append(XXH3_state_t& state, const void* data, std::size_t n) {
  XXH3_128bits_update(&state, data, n);
  base::zero_upper_halves();
}

Digest digest_of(const void* data, std::size_t n) {
  const XXH128_hash_t hash = XXH3_128bits(data, n);
  base::zero_upper_halves();
  return to_digest(hash);
}

}  // namespace

struct Hasher::Stream {
  Stream() { XXH3_128bits_reset(&state); }
  XXH3_state_t state;
};

Hasher::Hasher() = default;
Hasher::~Hasher() = default;

void Hasher::spill(const void* data, std::size_t n) {
  if (!stream_) stream_ = std::make_unique<Stream>();
  append(stream_->state, buffer_.data(), used_);
  spilled_ += used_ + n;
  used_ = 0;
  append(stream_->state, data, n);
}

void Hasher::bytes_of_block(const void* data, std::size_t n) {
  if (n < segment_threshold) {
    bytes(data, n);
    return;
  }
  const auto* from = static_cast<const std::byte*>(data);
  std::vector<Digest> digests((n + block_bytes - 1) / block_bytes);
  os::run_parallel(
      digests.size(), n >= parallel_from ? os::transfer_threads() : 1, [&](std::size_t i) {
        digests[i] = digest_of(from + i * block_bytes, std::min(block_bytes, n - i * block_bytes));
      });
  add(digests);
  spilled_ += n;
}

void Hasher::unordered(std::vector<Digest>& digests) {
  std::sort(digests.begin(), digests.end());
  add(digests);
}

void Hasher::add(const std::vector<Digest>& digests) {
  for (const Digest& digest : digests) {
    scalar(digest.low);
    scalar(digest.high);
  }
}

bool Hasher::enter(const void* object) {
  const auto found = std::find(open_.rbegin(), open_.rend(), object);
  if (found == open_.rend()) {
    open_.push_back(object);
    return true;
  }
  // A cycle counts as the number of levels up to the object that it leads back to.
  length(static_cast<std::size_t>(found - open_.rbegin()));
  return false;
}

void Hasher::leave() { open_.pop_back(); }

Digest Hasher::digest() {
  if (!stream_) return digest_of(buffer_.data(), used_);
  append(stream_->state, buffer_.data(), used_);
  spilled_ += std::exchange(used_, 0);
  return to_digest(XXH3_128bits_digest(&stream_->state));
}

Digest hash_bytes(const void* data, std::size_t n) { return digest_of(data, n); }

}  // namespace hoist::detail
