// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/dump.hpp>
#include <hoist/value.hpp>

#include <sstream>
#include <string>

#include "support/memory_source.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    std::istringstream in(std::string(reinterpret_cast<const char*>(data), size));
    const hoist::LoadOptions options{
        .threads = 1, .limits = {.max_bytes = support::fuzz_bytes, .max_nodes = 100000}};
    (void)hoist::load<hoist::Value>(in, options).to_string(1000);
  } catch (const hoist::Error&) {
  }
  return 0;
}
