// SPDX-License-Identifier: BSD-3-Clause
#include "workers/descriptors.hpp"

#include <hoist/byte_size.hpp>
#include <hoist/error.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>

#include "base/memory_left.hpp"

namespace hoist::detail {

namespace {

constexpr std::size_t max_fds = 8;

bool is_gone(int error) { return error == EPIPE || error == ECONNRESET || error == ENOTCONN; }

std::mutex temp_folder_mutex;
std::filesystem::path& temp_folder() {
  static auto* const folder = new std::filesystem::path;
  return *folder;
}

/// Where files may lie, best first.
std::vector<std::filesystem::path> temp_folders(const std::filesystem::path& first) {
  std::vector<std::filesystem::path> folders{first};
  {
    const std::lock_guard lock(temp_folder_mutex);
    folders.push_back(temp_folder());
  }
  for (const char* variable : {"HOIST_TEMP_FOLDER", "TMPDIR"}) {
    if (const char* set = std::getenv(variable)) folders.emplace_back(set);
  }
  folders.emplace_back("/tmp");
  std::erase_if(folders, [](const auto& folder) { return folder.empty(); });
  return folders;
}

/// A file without a name in a folder, its space reserved; an error code where that can't be.
int unnamed_file(const std::filesystem::path& folder, std::size_t bytes, Fd& file) {
  Fd fd(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!fd) return errno;
  int error = 0;
  do {
    error = bytes == 0 ? 0 : ::posix_fallocate(fd.get(), 0, static_cast<off_t>(bytes));
  } while (error == EINTR);
  if (error == 0) file = std::move(fd);
  return error;
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

void set_temp_folder(const std::filesystem::path& folder) {
  const std::lock_guard lock(temp_folder_mutex);
  temp_folder() = folder;
}

Fd memory_file(const char* name, std::size_t bytes, const std::filesystem::path& folder) {
  int error = ENOSPC;
  if (!memory_is_short(bytes)) {
    Fd fd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
    error = fd ? 0 : errno;
    if (fd) {
      // Without space set aside, a full tmpfs or memory limit would show as SIGBUS at some later access.
      do {
        error = bytes == 0 ? 0 : ::posix_fallocate(fd.get(), 0, static_cast<off_t>(bytes));
      } while (error == EINTR);
    }
    if (error == 0) {
      ::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
      return fd;
    }
  }
  std::string tried = "in memory";
  for (const std::filesystem::path& one : temp_folders(folder)) {
    Fd file;
    error = unnamed_file(one, bytes, file);
    if (file) return file;
    tried += ", in \"" + one.string() + "\"";
  }
  throw SystemError("can't set aside " + std::to_string(bytes) +
                        " bytes to share with processes (" + tried +
                        "); name a folder with space as temp_folder or HOIST_TEMP_FOLDER",
                    error);
}

Mapping::~Mapping() {
  if (data_ != nullptr) ::munmap(data_, bytes_);
}

Mapping map_memory(int fd, std::size_t bytes, MapAs as) {
  const int protection = as == MapAs::read_only ? PROT_READ : PROT_READ | PROT_WRITE;
  const int kind = as == MapAs::private_copy ? MAP_PRIVATE | MAP_NORESERVE : MAP_SHARED;
  void* data = ::mmap(nullptr, bytes, protection, kind, fd, 0);
  if (data == MAP_FAILED) {
    throw SystemError("can't map " + std::to_string(bytes) + " bytes of shared memory", errno);
  }
  return {data, bytes};
}

}  // namespace hoist::detail
