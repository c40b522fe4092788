// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/archive.hpp>
#include <hoist/detail/storage.hpp>

#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace hoist::detail {

struct ClassForm;

/// A large block of a value's bytes, still in the value's own memory. `owner` keeps the memory
/// alive if the encoder or an array owns it; null means that it is borrowed from the value.
struct Segment {
  const std::byte* data = nullptr;
  std::size_t bytes = 0;
  std::uint32_t element_bytes = 1;
  std::shared_ptr<Storage> owner;
};

/// A value in encoded form: the meta stream (structure, scalars, small blocks) and its segments, in
/// the order in which decoding needs them.
struct Encoded {
  std::vector<std::byte> meta;
  std::vector<Segment> segments;
};

/// Receives an encoded value piece by piece, so that dumping never needs a second copy of the data.
class EncodeSink {
 public:
  virtual ~EncodeSink();
  /// The next stretch of the meta stream and its segments, whose owners the sink may move out.
  virtual void emit(std::span<const std::byte> meta, std::span<Segment> segments) = 0;
};

/// Archive that encodes. With a sink it hands over about every MiB; without one it collects
/// everything.
class Encoder : public ArchiveBase<Encoder> {
 public:
  static constexpr bool decoding = false;
  static constexpr bool hashing = false;

  explicit Encoder(EncodeSink* sink = nullptr);
  ~Encoder();

  template <class T>
  void scalar(const T& value) {
    bytes(&value, sizeof value);
  }

  /// A count of elements, as LEB128.
  void length(std::size_t n) {
    std::byte text[10];
    std::size_t used = 0;
    while (n >= 0x80) {
      text[used++] = static_cast<std::byte>(n | 0x80);
      n >>= 7;
    }
    text[used++] = static_cast<std::byte>(n);
    bytes(text, used);
  }

  /// `n` contiguous elements. Large blocks are borrowed until the value is written.
  template <class T>
  void block(const T* data, std::size_t n) {
    const std::size_t size = n * sizeof(T);
    if (size < segment_threshold) {
      bytes(data, size);
    } else {
      segment({reinterpret_cast<const std::byte*>(data), size, sizeof(T), nullptr});
    }
  }

  /// Elements of an array: always a segment, so that they can be mapped, unless there are none.
  template <class T>
  void array_block(const T* data, std::size_t n, const std::shared_ptr<Storage>& owner) {
    ++ties_;
    if (n > 0) segment({reinterpret_cast<const std::byte*>(data), n * sizeof(T), sizeof(T), owner});
  }

  /// A descriptor and no bytes: `owner` has it as its backing, and is passed as it is.
  void descriptor(const std::shared_ptr<Storage>& owner) {
    ++ties_;
    segment({nullptr, 0, 1, owner});
  }

  /// Where a part of the value begins, which may become one block.
  struct Part {
    std::size_t meta = 0;
    std::size_t segments = 0;
    std::uint64_t ties = 0;
  };
  Part begin_part();
  /// A part becomes one block, laid out as SharedParts, if at least a MiB of it isn't borrowed from
  /// the value and it refers to nothing outside itself. Equal blocks are sent once. A byte before
  /// the part tells the decoder which it is. The block is valid until clear().
  void end_part(const Part& part);

  /// Numbers the objects behind shared pointers. An object and its first member have one address,
  /// but their types' tags differ. Returns the number, and true if it is new.
  std::pair<std::size_t, bool> shared(const void* object, const void* tag);
  /// Numbers the classes of objects whose static type is a base, likewise.
  std::pair<std::size_t, bool> class_number(const ClassForm* form);

  /// What is encoded is for another process, and can refer to memory that this one shares.
  void set_for_process() noexcept { for_process_ = true; }
  bool is_for_process() const noexcept { return for_process_; }
  /// Likewise, but nobody knows for which: it has never been told this one's numbers of modules.
  void set_for_any_process() noexcept { for_process_ = for_any_process_ = true; }
  bool is_for_any_process() const noexcept { return for_any_process_; }
  /// Likewise, for a Process, which receives it once.
  void set_for_new_process() noexcept { for_process_ = for_new_process_ = true; }
  bool is_for_new_process() const noexcept { return for_new_process_; }
  /// The first function whose address has been encoded since clear(), or null.
  const void* code() const noexcept { return code_; }
  void note_code(const void* address) noexcept {
    if (code_ == nullptr) code_ = address;
  }

  /// Active inside a user's serialize(), where members may be temporaries: nothing is borrowed from
  /// them.
  class UserCode {
   public:
    explicit UserCode(Encoder& encoder) : encoder_(encoder) { ++encoder_.user_code_; }
    ~UserCode() { --encoder_.user_code_; }
    UserCode(const UserCode&) = delete;
    UserCode& operator=(const UserCode&) = delete;

   private:
    Encoder& encoder_;
  };

  /// Hands the rest to the sink.
  void finish();
  /// Without a sink: returns the whole encoded value.
  Encoded take();

  /// Without a sink: what has been encoded so far. `clear()` starts again and keeps the memory,
  /// which pays if many small values are encoded.
  std::span<const std::byte> meta() const noexcept { return {meta_.data(), meta_bytes_}; }
  std::span<const Segment> segments() const noexcept { return segments_; }
  void clear() noexcept {
    meta_bytes_ = owned_bytes_ = packs_used_ = 0;
    code_ = nullptr;
    if (!segments_.empty() || !shared_.empty() || !classes_.empty()) forget_objects();
  }

 private:
  void bytes(const void* data, std::size_t n) {
    if (meta_.size() - meta_bytes_ < n) make_room(n);
    if (n > 0) std::memcpy(meta_.data() + meta_bytes_, data, n);
    meta_bytes_ += n;
  }
  void make_room(std::size_t n);
  void segment(Segment segment);
  void flush();
  void forget_objects() noexcept;

  EncodeSink* sink_;
  std::vector<std::byte> meta_;  // the meta stream is the first meta_bytes_ of it
  std::size_t meta_bytes_ = 0;
  std::vector<Segment> segments_;
  std::size_t owned_bytes_ = 0;
  int user_code_ = 0;
  std::map<std::pair<const void*, const void*>, std::size_t> shared_;
  std::vector<const ClassForm*> classes_;
  std::uint64_t ties_ = 0;  // arrays and numbered objects so far: a part with one is no block
  std::vector<std::vector<std::byte>> packs_;  // parts that became blocks
  std::size_t packs_used_ = 0;
  const void* code_ = nullptr;
  bool for_process_ = false;
  bool for_any_process_ = false;
  bool for_new_process_ = false;
};

}  // namespace hoist::detail
