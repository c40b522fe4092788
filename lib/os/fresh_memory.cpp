// SPDX-License-Identifier: BSD-3-Clause
#include "os/fresh_memory.hpp"

#include <sys/mman.h>

#include <cstdint>
#include <new>

namespace hoist::detail::os {

namespace {

// Not in every <sys/mman.h>.
#if !defined(MADV_POPULATE_READ)
#define MADV_POPULATE_READ 22
#endif

constexpr std::size_t least_mapped = huge_page / 8;

std::size_t rounded(std::size_t bytes) { return (bytes + huge_page - 1) / huge_page * huge_page; }

class FreshMemory final : public std::pmr::memory_resource {
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    if (bytes < least_mapped) return ::operator new(bytes, std::align_val_t(alignment));
    const std::size_t size = rounded(bytes);
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
  void do_deallocate(void* memory, std::size_t bytes, std::size_t alignment) override {
    if (bytes < least_mapped) {
      ::operator delete(memory, std::align_val_t(alignment));
    } else {
      ::munmap(memory, rounded(bytes));
    }
  }
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }
};

}  // namespace

std::pmr::memory_resource* fresh_memory() {
  // Never destroyed: destructors of static objects allocate too.
  static auto* const instance = new FreshMemory;
  return instance;
}

void populate(const void* begin, std::size_t bytes) {
  constexpr std::uintptr_t page = 4096;
  const auto address = reinterpret_cast<std::uintptr_t>(begin);
  const std::uintptr_t first = address / page * page;
  ::madvise(reinterpret_cast<void*>(first), address + bytes - first, MADV_POPULATE_READ);
}

}  // namespace hoist::detail::os
