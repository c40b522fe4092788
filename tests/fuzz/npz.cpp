// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>

#include <string>
#include <string_view>

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
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const std::string name = "input";
    (void)hoist::detail::formats::read_npz(
        bytes, {name, options, hoist::detail::pickle::read_object_array})
        .to_string(1000);
  } catch (const hoist::Error&) {
  }
  return 0;
}
