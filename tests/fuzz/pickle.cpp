// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>
#include <hoist/hash.hpp>

#include <cstdlib>
#include <optional>

#include "formats/input.hpp"
#include "formats/npy.hpp"
#include "pickle/pickle.hpp"
#include "support/memory_source.hpp"
#include "support/two_passes.hpp"

namespace {

const hoist::LoadOptions options{.threads = 1,
                                 .limits = {.max_bytes = support::fuzz_bytes,
                                            .max_nodes = 100000,
                                            .max_expanded = 100000,
                                            .max_memory = support::fuzz_bytes}};

enum class Outcome { read, no_outline, damaged, over_limit };

/// How `read` treats the input; `digest` is that of the value it returns.
template <class Read>
Outcome outcome(const std::uint8_t* data, std::size_t size, hoist::Digest& digest, Read read) {
  try {
    support::MemorySource source(data, size);
    hoist::detail::formats::Input in(source, nullptr, "input", options, support::fuzz_bytes);
    const std::optional<hoist::Value> value = read(in);
    if (!value) return Outcome::no_outline;
    (void)value->to_string(1000);
    digest = hoist::hash(*value);
    return Outcome::read;
  } catch (const hoist::LimitExceeded&) {
    return Outcome::over_limit;
  } catch (const hoist::Error&) {
    return Outcome::damaged;
  }
}

}  // namespace

// One pass and two passes yield the same value, or refuse. (Two take less memory.)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  hoist::Digest whole, rebuilt;
  const Outcome once = outcome(data, size, whole, [](hoist::detail::formats::Input& in) {
    return std::optional(hoist::detail::pickle::read_pickle(in));
  });
  const Outcome twice = outcome(data, size, rebuilt, [&](hoist::detail::formats::Input& in) {
    support::Rebuilder to(size > 0 ? data[size / 2] : 0U);
    return support::read_in_two_passes(in, to);
  });
  if (twice == Outcome::no_outline || once == Outcome::over_limit || twice == Outcome::over_limit) {
    return 0;
  }
  if (once != twice || (once == Outcome::read && whole != rebuilt)) std::abort();
  return 0;
}
