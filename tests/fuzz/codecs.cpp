// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/codec.hpp>
#include <hoist/error.hpp>

#include <vector>

#include "support/memory_source.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto* from = reinterpret_cast<const std::byte*>(data);
    const hoist::Codec* codec = hoist::codec_for_content({from, size});
    if (codec == nullptr) return 0;
    support::MemorySource in(data, size);
    const auto source = codec->decompressor(in, 1);
    std::vector<std::byte> buffer(std::size_t{1} << 16);
    for (std::uint64_t total = 0; total < support::fuzz_bytes;) {
      const std::size_t got = source->read(buffer.data(), buffer.size());
      if (got == 0) break;
      total += got;
    }
  } catch (const hoist::Error&) {
  }
  return 0;
}
