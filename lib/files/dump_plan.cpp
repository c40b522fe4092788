// SPDX-License-Identifier: BSD-3-Clause
#include "files/dump_plan.hpp"

#include <hoist/error.hpp>

#include <string>

namespace hoist::detail::files {

namespace {

void plan_foreign(const Compression& compress, DumpPlan& plan) {
  plan.blocks = nullptr;
  if (plan.format == Format::npz && plan.stream == nullptr) {
    if (!compress.codec().empty() && compress.codec() != "zlib") {
      throw BadArgument("members of a .npz can only be compressed with \"zlib\", not \"" +
                        compress.codec() + "\"");
    }
    if (!compress.is_set() || compress.is_off()) plan.level = 0;
  } else if (compress.is_set() && !compress.is_off() && plan.stream == nullptr) {
    plan.stream =
        &find_codec(compress.codec().empty() ? default_codec(*plan.format) : compress.codec());
  }
}

}  // namespace

DumpPlan plan_dump(const std::filesystem::path& path, const Compression& compress) {
  if (compress.level() < 0 || compress.level() > 9) {
    throw BadArgument("compression level " + std::to_string(compress.level()) +
                      " is not between 0 and 9");
  }
  DumpPlan plan{.format = format_for_name(path), .level = compress.level()};
  const Codec* named = compress.codec().empty() ? nullptr : &find_codec(compress.codec());
  if (!compress.is_off()) {
    if (const Codec* by_extension = codec_for_extension(path)) {
      plan.stream = named != nullptr ? named : by_extension;
    } else if (compress.is_set()) {
      plan.blocks = named != nullptr ? named : &find_codec("zstd");
    }
  }
  if (plan.format) plan_foreign(compress, plan);
  return plan;
}

}  // namespace hoist::detail::files
