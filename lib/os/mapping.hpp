// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace hoist::detail::os {

inline constexpr std::size_t huge_page = std::size_t{2} << 20;

/// Owns a memory mapping.
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
  /// Leaves the memory mapped for good.
  void release() { data_ = nullptr; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

enum class MapAs { shared, private_copy, read_only };

/// Maps `bytes` of a file from `offset` on, a multiple of the page size. Throws SystemError.
Mapping map_memory(int fd, std::size_t bytes, MapAs as, std::uint64_t offset = 0);

}  // namespace hoist::detail::os
