// SPDX-License-Identifier: BSD-3-Clause
#include "files/opened_file.hpp"

#include <hoist/codec.hpp>
#include <hoist/error.hpp>

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

void OpenedFile::expect_regular() const {
  if (os::regular_size(file_.fd())) return;
  throw BadArgument(name_ +
                    " is a pipe or a device, and its content has to be read from the beginning a "
                    "second time: write it to a file first");
}

base::PeekableSource& OpenedFile::source() {
  if (peeked_) return *peeked_;
  return file_;
}

formats::ContainerReader OpenedFile::container() {
  // The file itself tells what is cut short from what is too long, and whether it is being written.
  os::FileSource* const file = !peeked_ && os::regular_size(file_.fd()) ? &file_ : nullptr;
  return {source(), file, name_,
          LoadOptions{.limits = {.max_bytes = std::numeric_limits<std::uint64_t>::max()}}};
}

}  // namespace hoist::detail::files
