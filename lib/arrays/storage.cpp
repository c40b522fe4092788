// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/storage.hpp>

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <utility>

#include "os/kept_fd.hpp"
#include "os/private_pages.hpp"

namespace hoist::detail {

namespace {

constexpr std::size_t huge_page = std::size_t{2} << 20;
constexpr std::size_t mapped_from = std::size_t{4} << 20;

class HeapStorage final : public Storage {
 public:
  HeapStorage(std::byte* data, std::size_t bytes) : Storage(data, bytes, true) {}
  ~HeapStorage() override { std::free(data()); }
};

/// Anonymous pages of our own, so that they can be aligned for huge pages and returned at once.
class PageStorage final : public Storage {
 public:
  PageStorage(std::byte* data, std::size_t bytes, void* mapping, std::size_t mapped)
      : Storage(data, bytes, true), mapping_(mapping), mapped_(mapped) {}
  ~PageStorage() override { ::munmap(mapping_, mapped_); }

  Backing backing() const override {
    const std::lock_guard lock(mutex_);
    if (fd_ && (!*fd_ || os::any_page_is_private(data(), bytes()))) fd_.reset();
    return fd_ ? Backing{fd_->get(), 0, fd_} : Backing{};
  }

  bool move_to_copy(int fd) override {
    const std::lock_guard lock(mutex_);
    auto kept = std::make_shared<os::KeptFd>(os::Fd(::fcntl(fd, F_DUPFD_CLOEXEC, 0)));
    if (fd_ || !*kept || !map_copy(fd, 0, bytes())) return false;
    fd_ = std::move(kept);
    return true;
  }

  void move_part_to_copy(int fd, std::size_t at, std::size_t bytes) override {
    const std::lock_guard lock(mutex_);
    if (!fd_) map_copy(fd, at, bytes);
  }

  void give_up(std::size_t bytes) override {
    const std::size_t end = bytes / huge_page * huge_page;
    if (end > given_up_) ::madvise(data() + given_up_, end - given_up_, MADV_DONTNEED);
    given_up_ = std::max(given_up_, end);
  }

 private:
  /// Replaces pages in one step: another thread that reads meanwhile finds the old ones or the
  /// new, which are equal. The mapping is private so that writes stay here and forked children get
  /// copies, as with any memory.
  bool map_copy(int fd, std::size_t at, std::size_t bytes) {
    return ::mmap(data() + at, bytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, fd,
                  static_cast<off_t>(at)) != MAP_FAILED;
  }

  void* mapping_;
  std::size_t mapped_;
  std::size_t given_up_ = 0;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<os::KeptFd> fd_;  // shared: it may be in use when it is let go
};

class WrappedStorage final : public Storage {
 public:
  WrappedStorage(std::byte* data, std::size_t bytes, bool writable, std::shared_ptr<void> keep)
      : Storage(data, bytes, writable), keep_(std::move(keep)) {}

 private:
  std::shared_ptr<void> keep_;
};

}  // namespace

Storage::~Storage() = default;

bool Storage::move_to_copy(int) { return false; }
void Storage::move_part_to_copy(int, std::size_t, std::size_t) {}
void Storage::give_up(std::size_t) {}

std::atomic<AllocateLarge> allocate_large{nullptr};

std::shared_ptr<Storage> allocate_storage(std::size_t bytes, Fill fill) {
  if (bytes >= large_storage) {
    if (const auto allocate = allocate_large.load(std::memory_order_acquire)) {
      if (auto storage = allocate(bytes)) return storage;
    }
  }
  if (bytes >= mapped_from) {
    const std::size_t mapped = bytes + huge_page;
    void* mapping = ::mmap(nullptr, mapped, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED) throw std::bad_alloc();
    const auto address = reinterpret_cast<std::uintptr_t>(mapping);
    auto* data = reinterpret_cast<std::byte*>((address + huge_page - 1) & ~(huge_page - 1));
    ::madvise(data, bytes, MADV_HUGEPAGE);  // where this fails, only speed is lost
    return std::make_shared<PageStorage>(data, bytes, mapping, mapped);
  }
  const std::size_t rounded = (bytes + 63) / 64 * 64;
  auto* data = static_cast<std::byte*>(std::aligned_alloc(64, rounded == 0 ? 64 : rounded));
  if (data == nullptr) throw std::bad_alloc();
  if (fill == Fill::zero) std::memset(data, 0, bytes);
  return std::make_shared<HeapStorage>(data, bytes);
}

std::shared_ptr<Storage> wrap_storage(void* data, std::size_t bytes, bool writable,
                                      std::shared_ptr<void> keep_alive) {
  return std::make_shared<WrappedStorage>(static_cast<std::byte*>(data), bytes, writable,
                                          std::move(keep_alive));
}

}  // namespace hoist::detail
