// SPDX-License-Identifier: BSD-3-Clause
#include "os/mapping.hpp"

#include <hoist/error.hpp>

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <string>

namespace hoist::detail::os {

namespace {

/// Address space for a mapping whose address agrees with the offset: otherwise huge pages of the
/// file would be mapped as small ones. Empty where there is none.
Mapping space_for_huge_pages(std::size_t bytes, std::uint64_t offset) {
  static const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  bytes = (bytes + page - 1) / page * page;
  void* all = ::mmap(nullptr, bytes + huge_page, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (all == MAP_FAILED) return {};
  const std::size_t before = (offset - reinterpret_cast<std::uintptr_t>(all)) % huge_page;
  auto* const begin = static_cast<std::byte*>(all) + before;
  if (before > 0) ::munmap(all, before);
  ::munmap(begin + bytes, huge_page - before);
  return {begin, bytes};
}

}  // namespace

Mapping::~Mapping() {
  if (data_ != nullptr) ::munmap(data_, bytes_);
}

Mapping map_memory(int fd, std::size_t bytes, MapAs as, std::uint64_t offset) {
  const int protection = as == MapAs::read_only ? PROT_READ : PROT_READ | PROT_WRITE;
  const int kind = as == MapAs::private_copy ? MAP_PRIVATE | MAP_NORESERVE : MAP_SHARED;
  Mapping space;
  if (bytes >= huge_page) space = space_for_huge_pages(bytes, offset);
  const int place = space.data() != nullptr ? MAP_FIXED : 0;
  void* data =
      ::mmap(space.data(), bytes, protection, kind | place, fd, static_cast<off_t>(offset));
  if (data == MAP_FAILED) {
    throw SystemError("can't map " + std::to_string(bytes) + " bytes of shared memory", errno);
  }
  if (place != 0) return space;
  return {data, bytes};
}

}  // namespace hoist::detail::os
