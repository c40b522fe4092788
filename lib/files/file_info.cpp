// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/file_info.hpp>

#include <hoist/value.hpp>

#include "files/opened_file.hpp"

namespace hoist {

namespace {

const char* name_of(detail::files::Format format) {
  switch (format) {
    case detail::files::Format::npy: return "npy";
    case detail::files::Format::npz: return "npz";
    case detail::files::Format::pickle: return "pickle";
  }
  return "";
}

}  // namespace

FileInfo file_info(const std::filesystem::path& path) {
  detail::files::OpenedFile file(path);
  FileInfo info;
  info.format = "hoist";
  info.compression = file.compression();
  info.bytes = file.bytes();
  if (file.format()) {
    info.format = name_of(*file.format());
  } else {
    const auto container = file.container();
    info.schema = container.schema();
    info.block_compression = container.codec_name();
  }
  return info;
}

void verify_file(const std::filesystem::path& path) {
  detail::files::OpenedFile file(path);
  if (!file.format()) return file.container().verify();
  file.expect_regular();
  const bool maps = file.format() == detail::files::Format::npy && file.compression().empty();
  [[maybe_unused]] const Value value =
      load<Value>(path, {.mmap = maps ? MmapMode::read : MmapMode::none});
}

}  // namespace hoist
