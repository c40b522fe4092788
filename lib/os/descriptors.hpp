// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "os/file.hpp"

namespace hoist::detail::os {

/// A connected pair of sockets that keep message boundaries and pass descriptors.
std::pair<Fd, Fd> socket_pair();

/// Sends one message, waiting while the peer's queue is full. False where the peer is gone; throws
/// SystemError for all else.
bool send_message(int socket, std::span<const std::byte> bytes, std::span<const int> fds);

/// Receives one message of at most `limit` bytes. False where the peer is gone.
bool receive_message(int socket, std::size_t limit, std::vector<std::byte>& bytes,
                     std::vector<Fd>& fds);

/// An anonymous file in memory of exactly `bytes`. Its space is reserved (in huge pages, where the
/// system has them), so later accesses can't fail. Where memory is short, or `bytes` is more than
/// HOIST_MAX_SHARED_BYTES, the file is on a disk: in the first of `temp_folders()` that has the
/// space. Throws SystemError naming the size. `name` is what /proc shows.
Fd memory_file(const char* name, std::size_t bytes);
/// Called when a part (offset, bytes) of a file has been copied; from several threads.
using PartCopied = std::function<void(int fd, std::size_t at, std::size_t bytes)>;
/// Such a file with these bytes, which all cores copy where they are many. `folder` comes before
/// the other folders. `copied` is called for parts while others are still being copied, and may
/// free the original of the part, whose memory then serves for the rest.
Fd memory_copy(const char* name, std::span<const std::byte> content,
               const std::filesystem::path& folder = {}, const PartCopied& copied = {});

/// Mapped memory.
class Mapping {
 public:
  Mapping() = default;
  Mapping(void* data, std::size_t bytes) : data_(data), bytes_(bytes) {}
  Mapping(Mapping&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Mapping();

  std::byte* data() const { return static_cast<std::byte*>(data_); }
  std::size_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

enum class MapAs { shared, private_copy, read_only };

/// Maps `bytes` of a file from `offset` on, a multiple of the page size. Throws SystemError.
Mapping map_memory(int fd, std::size_t bytes, MapAs as, std::uint64_t offset = 0);

}  // namespace hoist::detail::os
