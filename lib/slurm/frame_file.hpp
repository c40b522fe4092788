// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "ipc/channel.hpp"
#include "os/atomic_file.hpp"
#include "os/file.hpp"

// Files of frames, by which a program and the elements of its job arrays speak:
// docs/formats/slurm.md.

namespace hoist::detail::slurm {

enum class FileType : std::uint32_t { chunk = 1, result = 2 };

/// One that is kept.
struct Frame {
  ipc::Kind kind{};
  std::vector<std::byte> content;
};

/// Writes a file, which appears under its name when it is complete.
class FrameFileWriter {
 public:
  FrameFileWriter(const std::filesystem::path& path, FileType type);
  void put(ipc::Kind kind, std::span<const std::byte> content);
  void commit();

 private:
  os::AtomicFile file_;
};

/// Reads a file. Throws DamagedData, which names the file and the remedy, for what is cut or
/// changed, and BadArgument for a file of another build of this program.
class FrameFileReader {
 public:
  FrameFileReader(const std::filesystem::path& path, FileType type);
  /// The next frame; false at the end of the file.
  bool next();
  ipc::Kind kind() const { return kind_; }
  std::span<const std::byte> content() const { return content_; }

 private:
  [[noreturn]] void throw_damaged() const;
  void read(void* to, std::size_t bytes);

  std::unique_ptr<os::FileSource> source_;
  std::filesystem::path path_;
  ipc::Kind kind_{};
  std::vector<std::byte> content_;
};

}  // namespace hoist::detail::slurm
