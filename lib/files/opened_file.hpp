// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/dump.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "base/byte_streams.hpp"
#include "files/foreign.hpp"
#include "formats/container.hpp"
#include "os/file.hpp"

namespace hoist::detail::files {

/// A file of any format, from which whatever compresses it as a whole has been taken away.
class OpenedFile {
 public:
  /// Throws NotFound or SystemError.
  explicit OpenedFile(const std::filesystem::path& path);

  /// For messages.
  const std::string& name() const noexcept { return name_; }
  /// Of the method that compresses the file; empty for none.
  const std::string& compression() const noexcept { return compression_; }
  /// Nothing for a container, or what is in no known format.
  std::optional<Format> format() const noexcept { return format_; }
  /// 0 for pipes and devices.
  std::uint64_t bytes() const;
  /// Throws BadArgument for pipes and devices, whose beginning can't be read a second time.
  void expect_regular() const;
  /// The content from its beginning.
  base::PeekableSource& source();
  /// A reader of the content as a container, without limits. Throws DamagedData if it is none.
  formats::ContainerReader container();

 private:
  std::string name_;
  os::FileSource file_;
  std::string compression_;
  std::unique_ptr<ByteSource> content_;
  std::unique_ptr<base::PeekedSource> peeked_;
  std::optional<Format> format_;
};

}  // namespace hoist::detail::files
