// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace hoist::detail {

/// The bytes behind arrays: heap memory, a file mapping, a shared segment, or memory of another
/// owner. Arrays and their views share one Storage; the last of them frees it.
class Storage {
 public:
  /// A descriptor through which another process can map the same bytes, or -1. It stays open as
  /// long as both the storage and this object live.
  struct Backing {
    int fd = -1;
    std::uint64_t offset = 0;
    std::shared_ptr<const void> keep_open = nullptr;
  };

  Storage(std::byte* data, std::size_t bytes, bool writable)
      : data_(data), bytes_(bytes), writable_(writable) {}
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  virtual ~Storage();

  std::byte* data() const noexcept { return data_; }
  std::size_t bytes() const noexcept { return bytes_; }
  bool writable() const noexcept { return writable_; }
  /// How other processes get these bytes as an argument.
  enum class Passing : unsigned char {
    by_size,  ///< few: a copy; many: as ParallelOptions::mmap_mode says
    mapped,   ///< mapped, however few they are
    written,  ///< likewise, and what a task writes is written here
  };
  Passing passing() const noexcept { return passing_; }
  void set_passing(Passing passing) noexcept { passing_ = passing; }
  /// While it is pinned its memory stays mapped even without the storage: a lock in there that a
  /// thread holds is in a list that the kernel walks when the thread ends. Under that lock.
  void pin() noexcept { ++pins_; }
  void unpin() noexcept { --pins_; }
  /// Shrinks `bytes()` before the storage is shared, if less than the allocated memory was needed.
  void shrink(std::size_t bytes) noexcept { bytes_ = bytes; }
  /// A descriptor of a file that holds exactly these bytes now; none otherwise.
  virtual Backing backing() const { return {}; }
  /// Replaces the memory by a private mapping of `fd`, a file that was made as a copy of all bytes.
  /// The heap memory is freed, and `backing()` returns the file until the first write to this
  /// storage. Returns false if nothing was done.
  virtual bool move_to_copy(int fd);
  /// Does the same for `bytes` bytes from `at`, a multiple of the page size, while the others are
  /// still to be copied; `backing()` does not return the file yet.
  virtual void move_part_to_copy(int fd, std::size_t at, std::size_t bytes);
  /// Nobody will read the first `bytes` bytes again, so their memory may be freed. Only for the
  /// sole owner of storage that no other process has mapped: shared pages would be discarded there,
  /// too.
  virtual void give_up(std::size_t bytes);

 private:
  std::byte* data_;
  std::size_t bytes_;
  bool writable_;
  Passing passing_ = Passing::by_size;

 protected:
  int pins_ = 0;
};

enum class Fill { zero, none };

/// Heap memory of `bytes`, aligned to 64 bytes. From 4 MiB on it requests huge pages: the first
/// touch of fresh 4 KiB pages costs more than the copy into them. Throws std::bad_alloc.
std::shared_ptr<Storage> allocate_storage(std::size_t bytes, Fill fill);

/// If set, allocates storage of at least `large_storage` bytes: zero-filled, or null to allocate it
/// as usual. Workers set it, so that large results are made in memory that can be handed over.
using AllocateLarge = std::shared_ptr<Storage> (*)(std::size_t bytes);
extern std::atomic<AllocateLarge> allocate_large;
inline constexpr std::size_t large_storage = std::size_t{1} << 20;

/// Zeros in a memory file of their own, which other processes get as they are (Passing::written).
/// `name` is what /proc shows. At least one byte. Throws SystemError where there is no memory or
/// descriptor left.
std::shared_ptr<Storage> allocate_for_processes(const char* name, std::size_t bytes);

/// Storage of memory that `keep_alive` owns. If that is null, the memory must outlive the array.
std::shared_ptr<Storage> wrap_storage(void* data, std::size_t bytes, bool writable,
                                      std::shared_ptr<void> keep_alive);

}  // namespace hoist::detail
