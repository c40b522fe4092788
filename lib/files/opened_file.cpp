// SPDX-License-Identifier: BSD-3-Clause
#include "files/opened_file.hpp"

#include <hoist/codec.hpp>

#include <limits>

#include "base/quoted.hpp"
#include "codecs/open.hpp"
#include "os/run_parallel.hpp"
#include "pickle/companions.hpp"

namespace hoist::detail::files {

OpenedFile::OpenedFile(const std::filesystem::path& path) : name_(base::quoted(path)), file_(path) {
  if (pickle::is_old_joblib(file_.peek(codecs::first_bytes))) {
    compression_ = "zlib";
    format_ = Format::pickle;
    return;
  }
  if (const Codec* codec = codecs::codec_of(file_)) {
    compression_ = codec_name(*codec);
    content_ = codec->decompressor(file_, os::transfer_threads(0));
    peeked_ = std::make_unique<base::PeekedSource>(*content_);
  }
  format_ = format_of_content(source().peek(codecs::first_bytes));
}

std::uint64_t OpenedFile::bytes() const { return os::regular_size(file_.fd()).value_or(0); }

base::PeekableSource& OpenedFile::source() {
  if (peeked_) return *peeked_;
  return file_;
}

formats::ContainerReader OpenedFile::container() {
  return {source(), nullptr, name_,
          LoadOptions{.limits = {.max_bytes = std::numeric_limits<std::uint64_t>::max()}}};
}

}  // namespace hoist::detail::files
