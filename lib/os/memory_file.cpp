// SPDX-License-Identifier: BSD-3-Clause
#include "os/memory_file.hpp"

#include <hoist/byte_size.hpp>
#include <hoist/error.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include "os/mapping.hpp"
#include "os/memory_left.hpp"
#include "os/run_parallel.hpp"
#include "os/size_limit.hpp"
#include "os/temp_file.hpp"

namespace hoist::detail::os {

namespace {

/// Makes a file without a name in a folder and reserves its space. Returns 0 or an errno.
int file_in_folder(const std::filesystem::path& folder, std::size_t bytes, Fd& file) {
  Fd fd = unnamed_file(folder);
  if (!fd) return errno;
  const int error = reserve_space(fd.get(), bytes);
  if (error == 0) file = std::move(fd);
  return error;
}

/// Gives an empty memory file huge pages, and copies `content` there, if any. Returns false if the
/// system refuses; some pages may then exist, with content or without. Clearing, copying and
/// mapping pages of 4 KiB takes three times as long, but memory files only get huge ones on request
/// for each (MADV_COLLAPSE, Linux 6.1), and only where a first byte has been written.
bool take_huge_pages(int fd, std::size_t bytes, std::span<const std::byte> content,
                     const PartCopied& copied) {
  constexpr int collapse = 25;
  constexpr std::size_t piece = 8 * huge_page;  // each request interrupts all processors
  const Mapping mapping = map_memory(fd, bytes, MapAs::shared);
  std::atomic<bool> refused{false};
  run_parallel((bytes + piece - 1) / piece, transfer_threads(), [&](std::size_t i) {
    if (refused.load(std::memory_order_relaxed)) return;
    const std::size_t begin = i * piece;
    const std::size_t size = std::min(piece, bytes - begin);
    bool taken = true;
    for (std::size_t at = begin; taken && at < begin + size; at += huge_page) {
      taken = ::pwrite(fd, "", 1, static_cast<off_t>(at)) == 1;
    }
    taken = taken && ::madvise(mapping.data() + begin, size, collapse) == 0;
    if (!taken) refused.store(true);
    if (taken && !content.empty()) {
      std::memcpy(mapping.data() + begin, content.data() + begin, size);
      if (copied) copied(fd, begin, size);
    }
  });
  return !refused.load();
}

/// Makes a file in memory and reserves its space. Returns 0 or an errno.
int file_in_memory(const char* name, std::size_t bytes, std::span<const std::byte> content,
                   const PartCopied& copied, Fd& file) {
  const SizeLimitAsError limited;
  Fd fd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd || ::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) return errno;
  const std::size_t whole = bytes / huge_page * huge_page;
  const bool taken = whole > huge_page && take_huge_pages(fd.get(), whole, content, copied);
  // Without reserved space, a full tmpfs or memory limit would cause SIGBUS at some later access.
  if (const int error = reserve_space(fd.get(), bytes); error != 0) return error;
  if (!content.empty()) {
    const std::size_t done = taken ? whole : 0;
    write_at(fd.get(), content.subspan(done), done, "memory to share with processes");
  }
  ::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
  file = std::move(fd);
  return 0;
}

/// If memory ran out while a file is filled, the kernel would kill this process or another. For
/// small files the check would cost more than it is worth.
bool memory_is_short(std::size_t bytes) {
  static const std::size_t limit = [] {
    const char* set = std::getenv("HOIST_MAX_SHARED_BYTES");
    return set != nullptr ? ByteSize(set).bytes() : static_cast<std::size_t>(-1);
  }();
  constexpr std::size_t worth_a_look = std::size_t{64} << 20;
  return bytes > limit || (bytes >= worth_a_look && bytes > memory_left());
}

Fd memory_file(const char* name, std::size_t bytes, std::span<const std::byte> content,
               const std::filesystem::path& folder, const PartCopied& copied) {
  Fd file;
  int error = memory_is_short(bytes) ? ENOSPC : file_in_memory(name, bytes, content, copied, file);
  if (error == 0) return file;
  std::string tried = "in memory";
  for (const std::filesystem::path& one : temp_folders(folder)) {
    error = file_in_folder(one, bytes, file);
    if (error == 0) {
      write_at(file.get(), content, 0, one);
      return file;
    }
    tried += ", in \"" + one.string() + "\"";
  }
  throw SystemError("can't set aside " + std::to_string(bytes) +
                        " bytes to share with processes (" + tried +
                        "); name a folder with space as temp_folder or HOIST_TEMP_FOLDER",
                    error);
}

}  // namespace

int reserve_space(int fd, std::size_t bytes, std::size_t from) {
  const SizeLimitAsError limited;
  int error = 0;
  while (bytes > from && (error = ::posix_fallocate(fd, static_cast<off_t>(from),
                                                    static_cast<off_t>(bytes - from))) == EINTR) {
  }
  return error;
}

Fd growing_memory_file(const char* name, std::size_t bytes, std::size_t reserved) {
  const SizeLimitAsError limited;
  Fd file(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  int error = file && ::ftruncate(file.get(), static_cast<off_t>(bytes)) == 0 ? 0 : errno;
  if (error == 0) error = reserve_space(file.get(), reserved);
  if (error != 0) throw SystemError("can't make memory to share with processes", error);
  ::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
  return file;
}

Fd memory_file(const char* name, std::size_t bytes) { return memory_file(name, bytes, {}, {}, {}); }

Fd memory_copy(const char* name, std::span<const std::byte> content,
               const std::filesystem::path& folder, const PartCopied& copied) {
  return memory_file(name, content.size(), content, folder, copied);
}

}  // namespace hoist::detail::os
