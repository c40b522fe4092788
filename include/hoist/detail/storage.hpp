// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace hoist::detail {

/// The bytes behind arrays: heap memory, a file mapping, a shared segment or somebody else's
/// memory. Arrays and their views share one Storage; the last of them frees it.
class Storage {
 public:
  /// A descriptor through which another process can map the same bytes, if there is one.
  struct Backing {
    int fd = -1;
    std::uint64_t offset = 0;
  };

  Storage(std::byte* data, std::size_t bytes, bool writable)
      : data_(data), bytes_(bytes), writable_(writable) {}
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  virtual ~Storage();

  std::byte* data() const noexcept { return data_; }
  std::size_t bytes() const noexcept { return bytes_; }
  bool writable() const noexcept { return writable_; }
  /// For who fills it and turns out to need less, before anybody else knows of it.
  void shrink(std::size_t bytes) noexcept { bytes_ = bytes; }
  /// The descriptor only where the file holds these very bytes now.
  virtual Backing backing() const { return {}; }
  /// Lets the storage live on a file that was made as a copy of all its bytes, of which it becomes a
  /// private mapping: the heap memory is free, and `backing()` tells the file for as long as nothing
  /// is written here. False where nothing was done.
  virtual bool move_to_copy(int fd);
  /// The same for some of the bytes, from `at` on, a multiple of the page size, while the others are
  /// yet to be copied; `backing()` tells nothing of it.
  virtual void move_part_to_copy(int fd, std::size_t at, std::size_t bytes);
  /// Nobody will look at the first `bytes` bytes again: their memory may be returned. For who is the only
  /// owner of what no other process has been shown: memory they share would be gone for them, too.
  virtual void give_up(std::size_t bytes);

 private:
  std::byte* data_;
  std::size_t bytes_;
  bool writable_;
};

enum class Fill { zero, none };

/// Heap memory of `bytes`, aligned to 64 bytes. From 4 MiB on it asks for huge pages: the first
/// touch of fresh 4 KiB pages costs more than the copy into them. Throws std::bad_alloc.
std::shared_ptr<Storage> allocate_storage(std::size_t bytes, Fill fill);

/// Where storage from `large_storage` bytes on comes from, if set: zero-filled, or null to have it
/// allocated as ever. Workers set it, so that large results are born in memory they can hand over.
using AllocateLarge = std::shared_ptr<Storage> (*)(std::size_t bytes);
extern std::atomic<AllocateLarge> allocate_large;
inline constexpr std::size_t large_storage = std::size_t{1} << 20;

/// Memory that `keep_alive` owns (null: the caller promises to outlive the array).
std::shared_ptr<Storage> wrap_storage(void* data, std::size_t bytes, bool writable,
                                      std::shared_ptr<void> keep_alive);

}  // namespace hoist::detail
