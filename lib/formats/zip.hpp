// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/bytes.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "os/file.hpp"

// As much of the zip format as .npz files use.

namespace hoist::detail::formats {

/// How the format numbers methods of compression.
enum class ZipMethod : std::uint16_t { stored = 0, deflated = 8, bzip2 = 12 };

struct ZipMember {
  std::string name;  // a key, never a path
  ZipMethod method = ZipMethod::stored;
  std::uint32_t crc = 0;
  std::uint64_t size = 0;
  std::uint64_t stored = 0;
  std::uint64_t offset = 0;  // of its data; while writing, of its local header
};

/// The bytes of a whole archive, in a file or in memory; `name` is for messages.
class ZipBytes {
 public:
  ZipBytes(os::FileSource& file, std::string name);
  ZipBytes(std::string_view bytes, std::string name)
      : bytes_(bytes), size_(bytes.size()), name_(std::move(name)) {}

  std::uint64_t size() const noexcept { return size_; }
  const std::string& name() const noexcept { return name_; }
  /// Throws DamagedData for bytes outside the archive.
  void read(std::uint64_t at, std::byte* to, std::size_t n) const;
  std::string text(std::uint64_t at, std::size_t n) const;
  [[noreturn]] void damaged(const std::string& what) const;

 private:
  const os::FileSource* file_ = nullptr;
  std::string_view bytes_;
  std::uint64_t size_ = 0;
  std::string name_;
};

/// The members that the central directory lists, without folders; in local headers only the name
/// has to agree. Names are UTF-8; those that don't say so were in code page 437. Throws DamagedData
/// for members that overlap, share a name, are encrypted or use another method; LimitExceeded for
/// more than `most`.
std::vector<ZipMember> zip_members(const ZipBytes& zip, std::uint64_t most);

/// Writes an archive from front to back; zip64 only where sizes or the number of members need it.
class ZipWriter {
 public:
  explicit ZipWriter(ByteSink& out) : out_(out) {}
  /// The member's data follow. Its size must be known; what a deflated one becomes need not.
  void begin(const ZipMember& member);
  void end(std::uint32_t crc, std::uint64_t stored);
  void finish();

 private:
  void put(const std::string& bytes);

  ByteSink& out_;
  std::uint64_t position_ = 0;
  std::vector<ZipMember> members_;
};

}  // namespace hoist::detail::formats
