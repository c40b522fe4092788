// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/archive.hpp>
#include <hoist/detail/encoder.hpp>
#include <hoist/detail/storage.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <span>
#include <type_traits>
#include <vector>

namespace hoist::detail {

/// Where a decoder gets an encoded value from. Everything it yields is untrusted.
class DecodeSource {
 public:
  virtual ~DecodeSource();
  /// The next stretch of the meta stream, valid until the next call; empty at its end.
  virtual std::span<const std::byte> next_meta() = 0;
  /// Throws DamagedData unless the next segment has exactly `bytes` bytes and all of them are
  /// present.
  virtual void expect_segment(std::size_t bytes) = 0;
  /// Copies the next segment to `to`.
  virtual void read_segment(std::byte* to, std::size_t bytes) = 0;
  /// Returns the next segment as storage of its own, which may be a mapping. Throws WrongType if
  /// `writable` is requested and the mapping is read-only.
  virtual std::shared_ptr<Storage> take_segment(std::size_t bytes, bool writable) = 0;
  /// True if take_segment() returns memory that already holds the segment, without reading or
  /// copying it.
  virtual bool lends() const { return false; }
  /// Bytes of memory that may be reserved for elements that have not arrived yet, on the strength
  /// of their count alone.
  virtual std::uint64_t trusted() const { return 0; }
};

/// Decodes from memory, which must outlive the source. Segments that have an owner are shared with
/// it.
class EncodedSource : public DecodeSource {
 public:
  explicit EncodedSource(const Encoded& encoded);
  EncodedSource(std::span<const std::byte> meta, std::span<const Segment> segments)
      : meta_(meta), segments_(segments) {}
  std::span<const std::byte> next_meta() override;
  void expect_segment(std::size_t bytes) override;
  void read_segment(std::byte* to, std::size_t bytes) override;
  std::shared_ptr<Storage> take_segment(std::size_t bytes, bool writable) override;

 private:
  std::span<const std::byte> meta_;
  std::span<const Segment> segments_;
};

/// Archive that decodes. It treats its input as hostile: memory is allocated only for bytes that
/// are present, or in proportion to them.
class Decoder : public ArchiveBase<Decoder> {
 public:
  static constexpr bool decoding = true;
  static constexpr bool hashing = false;

  explicit Decoder(DecodeSource& source);
  ~Decoder();
  /// Prepares for a source that starts from the beginning again.
  void restart() {
    at_ = end_ = nullptr;
    reserved_ = 0;
    if (!shared_.empty() || !classes_.empty()) forget_objects();
  }

  template <class T>
  void scalar(T& value) {
    std::memcpy(&value, take(sizeof value), sizeof value);
  }

  /// A count of elements. Unless `no_bytes` is set each of them takes at least one byte, so that
  /// the count can be checked against the bytes left.
  std::size_t length(bool no_bytes = false);

  /// How many of `n` elements to reserve memory for: as many as the bytes in the buffer can hold,
  /// or as the source is trusted with. (A vector that grows briefly needs twice the memory.)
  template <class T>
  std::size_t plausible(std::size_t n) {
    const auto at_hand = static_cast<std::size_t>(end_ - at_);
    if (n <= at_hand) return n;
    const std::uint64_t trusted = source_.trusted();
    const std::uint64_t more = (trusted - std::min(trusted, reserved_)) / sizeof(T);
    const std::size_t granted = n < more ? n : static_cast<std::size_t>(more);
    if (granted <= at_hand) return at_hand;
    reserved_ += granted * sizeof(T);
    return granted;
  }

  /// The size in bytes of `n` elements, which are known to be present. To be called before
  /// allocating.
  template <class T>
  std::size_t expect_block(std::size_t n, bool always_segment = false) {
    if (n > std::numeric_limits<std::ptrdiff_t>::max() / sizeof(T)) throw_damaged();
    const std::size_t size = n * sizeof(T);
    if (size == 0) return 0;
    if (always_segment || size >= segment_threshold) {
      source_.expect_segment(size);
    } else {
      need(size);
    }
    return size;
  }

  /// Copies `n` elements to `to`.
  template <class T>
  void block(T* to, std::size_t n) {
    const std::size_t size = expect_block<T>(n);
    if (size >= segment_threshold) {
      source_.read_segment(reinterpret_cast<std::byte*>(to), size);
    } else if (size > 0) {
      std::memcpy(static_cast<void*>(to), take(size), size);
    }
  }

  /// Fills a contiguous container with `n` elements. If the source lends memory that nobody else
  /// holds, it is released in steps of 4 MiB while the container grows, so that the elements are
  /// never in memory twice.
  template <class C>
  void fill(C& to, std::size_t n) {
    using T = typename C::value_type;
    const std::size_t size = expect_block<T>(n);
    if (size < segment_threshold || !source_.lends()) {
      to.resize(n);
      return block(to.data(), n);
    }
    constexpr std::size_t step = (std::size_t{4} << 20) / sizeof(T) + 1;
    const auto from = source_.take_segment(size, false);
    to.clear();
    to.reserve(n);
    for (std::size_t done = 0; done < n; done = to.size()) {
      to.resize(n - done < step ? n : done + step);
      std::memcpy(static_cast<void*>(to.data() + done), from->data() + done * sizeof(T),
                  (to.size() - done) * sizeof(T));
      if (from.use_count() == 1) from->give_up(to.size() * sizeof(T));
    }
  }

  /// True if the source may lend text and bytes; see DecodeSource::lends.
  bool lends() const { return source_.lends(); }

  /// Copies an array's block into memory of the caller; `expect_block(..., true)` has found its
  /// `size` bytes to be present.
  void read_array_block(void* to, std::size_t size) {
    if (size > 0) source_.read_segment(static_cast<std::byte*>(to), size);
  }

  /// An array's block as storage of its own; see DecodeSource::take_segment.
  std::shared_ptr<Storage> array_block(std::size_t bytes, bool writable) {
    source_.expect_segment(bytes);
    return source_.take_segment(bytes, writable);
  }

  /// The object numbered `index`, of type `tag`; null if it is the next, new one.
  std::shared_ptr<void> shared(std::size_t index, const void* tag);
  void add_shared(std::shared_ptr<void> object, const void* tag);
  /// The class with that number; null if it is the next, new one.
  const ClassForm* known_class(std::size_t number) const;
  void add_class(const ClassForm* form);

  /// A decoder needs no care inside a user's serialize(); see Encoder::UserCode.
  struct UserCode {
    explicit UserCode(Decoder&) {}
  };

  /// Throws DamagedData if bytes are left over.
  void finish();
  [[noreturn]] static void throw_damaged();

 private:
  struct Shared {
    std::shared_ptr<void> object;
    const void* tag;
  };

  void need(std::size_t n) {
    if (static_cast<std::size_t>(end_ - at_) < n) refill(n);
  }
  const std::byte* take(std::size_t n) {
    need(n);
    const std::byte* from = at_;
    at_ += n;
    return from;
  }
  void refill(std::size_t n);
  void forget_objects();

  DecodeSource& source_;
  const std::byte* at_ = nullptr;
  const std::byte* end_ = nullptr;
  std::uint64_t reserved_ = 0;  // bytes, reserved on the strength of counts
  std::vector<Shared> shared_;
  std::vector<const ClassForm*> classes_;
};

}  // namespace hoist::detail
