// SPDX-License-Identifier: BSD-3-Clause
#include "os/fresh_memory.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <mutex>
#include <new>

#include "os/fork_hook.hpp"

namespace hoist::detail::os {

namespace {

// Not in every <sys/mman.h>.
#if !defined(MADV_POPULATE_READ)
#define MADV_POPULATE_READ 22
#endif

/// What is at the start of a huge page that is shared by several requests.
struct SharedPage {
  std::size_t used = sizeof(SharedPage);
  std::size_t pieces = 0;
};

std::size_t rounded(std::size_t bytes) { return (bytes + huge_page - 1) / huge_page * huge_page; }

void* map_huge_pages(std::size_t size) {
  void* const mapped = ::mmap(nullptr, size + huge_page, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  // A huge page is aligned to its size; what is before and after goes back.
  auto* const first = static_cast<std::byte*>(mapped);
  const auto address = reinterpret_cast<std::uintptr_t>(mapped);
  auto* const begin = first + (rounded(address) - address);
  if (begin != first) ::munmap(first, static_cast<std::size_t>(begin - first));
  if (begin != first + huge_page) {
    ::munmap(begin + size, static_cast<std::size_t>(first + huge_page - begin));
  }
  ::madvise(begin, size, MADV_HUGEPAGE);
  return begin;
}

class FreshMemory final : public std::pmr::memory_resource {
 public:
  FreshMemory() { ForkHook::keep(mutex_); }

 private:
  /// Larger requests have pages of their own.
  static constexpr std::size_t largest_piece = huge_page / 2;

  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    if (bytes > largest_piece) return map_huge_pages(rounded(bytes));
    const std::lock_guard lock(mutex_);
    std::size_t at = page_ != nullptr ? aligned(page_->used, alignment) : huge_page;
    if (at + bytes > huge_page) {
      page_ = new (map_huge_pages(huge_page)) SharedPage;
      at = aligned(page_->used, alignment);
    }
    page_->used = at + bytes;
    ++page_->pieces;
    return reinterpret_cast<std::byte*>(page_) + at;
  }
  void do_deallocate(void* memory, std::size_t bytes, std::size_t /*alignment*/) override {
    if (bytes > largest_piece) {
      ::munmap(memory, rounded(bytes));
      return;
    }
    const std::lock_guard lock(mutex_);
    auto* const piece = static_cast<std::byte*>(memory);
    auto* const page =
        reinterpret_cast<SharedPage*>(piece - reinterpret_cast<std::uintptr_t>(memory) % huge_page);
    // The last piece may be had again.
    if (page->used ==
        static_cast<std::size_t>(piece - reinterpret_cast<std::byte*>(page)) + bytes) {
      page->used -= bytes;
    }
    if (--page->pieces != 0) return;
    page->used = sizeof(SharedPage);
    if (page != page_) ::munmap(page, huge_page);
  }
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }

  static std::size_t aligned(std::size_t at, std::size_t alignment) {
    return (at + alignment - 1) / alignment * alignment;
  }

  SharedPage* page_ = nullptr;  ///< from which pieces are cut
  std::mutex mutex_;
};

}  // namespace

std::pmr::memory_resource* fresh_memory() {
  // Never destroyed: destructors of static objects allocate too.
  static auto* const instance = new FreshMemory;
  return instance;
}

void populate(const void* begin, std::size_t bytes) {
  static const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto address = reinterpret_cast<std::uintptr_t>(begin);
  const std::uintptr_t first = address / page * page;
  ::madvise(reinterpret_cast<void*>(first), address + bytes - first, MADV_POPULATE_READ);
}

}  // namespace hoist::detail::os
