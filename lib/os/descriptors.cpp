// SPDX-License-Identifier: BSD-3-Clause
#include "os/descriptors.hpp"

#include <hoist/byte_size.hpp>
#include <hoist/error.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include "os/memory_left.hpp"
#include "os/run_parallel.hpp"
#include "os/temp_file.hpp"

namespace hoist::detail::os {

namespace {

constexpr std::size_t max_fds = 8;
constexpr std::size_t huge_page = std::size_t{2} << 20;

bool is_gone(int error) { return error == EPIPE || error == ECONNRESET || error == ENOTCONN; }

int reserve_space(int fd, std::size_t bytes) {
  int error = 0;
  do {
    error = bytes == 0 ? 0 : ::posix_fallocate(fd, 0, static_cast<off_t>(bytes));
  } while (error == EINTR);
  return error;
}

/// A file without a name in a folder, its space reserved; an error code where that can't be.
int file_in_folder(const std::filesystem::path& folder, std::size_t bytes, Fd& file) {
  Fd fd = unnamed_file(folder);
  if (!fd) return errno;
  const int error = reserve_space(fd.get(), bytes);
  if (error == 0) file = std::move(fd);
  return error;
}

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

/// Gives an empty memory file huge pages, and copies `content` there, if any. Returns false if the
/// system refuses; some pages may then exist, with content or without. Clearing, copying and
/// mapping pages of 4 KiB takes three times as long, but memory files only get huge ones on request
/// for each (MADV_COLLAPSE, Linux 6.1), and only where a first byte has been written.
bool take_huge_pages(int fd, std::size_t bytes, std::span<const std::byte> content,
                     const PartCopied& copied) {
  constexpr int collapse = 25;
  constexpr std::size_t piece = 8 * huge_page;  // each request costs a word with all processors
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

/// A file in memory, its space reserved; an error code where that can't be.
int file_in_memory(const char* name, std::size_t bytes, std::span<const std::byte> content,
                   const PartCopied& copied, Fd& file) {
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

/// Filling memory that isn't there would have the system end this process or another. Smaller files
/// are not worth the look.
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

std::pair<Fd, Fd> socket_pair() {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    throw SystemError("can't make a socket for a worker process", errno);
  }
  return {Fd(pair[0]), Fd(pair[1])};
}

bool send_message(int socket, std::span<const std::byte> bytes, std::span<const int> fds) {
  iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * max_fds)]{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    std::memcpy(CMSG_DATA(header), fds.data(), sizeof(int) * fds.size());
  }
  for (;;) {
    if (::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return true;
    if (errno == EINTR) continue;
    if (is_gone(errno)) return false;
    // ETOOMANYREFS: as many descriptors are under way as this user may have; the peer takes some.
    if (errno != EAGAIN && errno != EWOULDBLOCK && errno != ETOOMANYREFS) {
      throw SystemError("can't send to a worker process", errno);
    }
    const bool full = errno != ETOOMANYREFS;
    pollfd ready{socket, static_cast<short>(full ? POLLOUT : 0), 0};
    ::poll(&ready, 1, full ? -1 : 1);  // ends with the peer's life, too
  }
}

bool receive_message(int socket, std::size_t limit, std::vector<std::byte>& bytes,
                     std::vector<Fd>& fds) {
  bytes.resize(limit);
  fds.clear();
  iovec part{bytes.data(), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * max_fds)];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t n = 0;
  do {
    n = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  if (n == 0 || (n < 0 && is_gone(errno))) return false;
  if (n < 0) throw SystemError("can't receive from a process", errno);
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
      fds.emplace_back(fd);
    }
  }
  if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    throw DamagedData("a message between processes is longer than its protocol allows");
  }
  bytes.resize(static_cast<std::size_t>(n));
  return true;
}

Fd memory_file(const char* name, std::size_t bytes) { return memory_file(name, bytes, {}, {}, {}); }

Fd memory_copy(const char* name, std::span<const std::byte> content,
               const std::filesystem::path& folder, const PartCopied& copied) {
  return memory_file(name, content.size(), content, folder, copied);
}

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
