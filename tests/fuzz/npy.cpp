// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>

#include "formats/input.hpp"
#include "formats/npy.hpp"
#include "pickle/pickle.hpp"
#include "support/memory_source.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const hoist::LoadOptions options{.threads = 1,
                                     .limits = {.max_bytes = support::fuzz_bytes,
                                                .max_nodes = 100000,
                                                .max_expanded = 100000,
                                                .max_memory = support::fuzz_bytes}};
    support::MemorySource source(data, size);
    hoist::detail::formats::Input in(source, nullptr, "input", options, support::fuzz_bytes);
    (void)hoist::detail::formats::read_npy(in, hoist::detail::pickle::read_object_array)
        .to_string(1000);
  } catch (const hoist::Error&) {
  }
  return 0;
}
