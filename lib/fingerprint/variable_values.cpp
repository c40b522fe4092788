// SPDX-License-Identifier: BSD-3-Clause
#include "fingerprint/variable_values.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/digest_stream.hpp"
#include "os/is_mapped.hpp"
#include "program/module_map.hpp"

namespace hoist::detail::fingerprint {

namespace {

constexpr std::size_t word = sizeof(std::uint64_t);

const std::byte* start_of(const VariableBytes& variable) {
#if defined(__x86_64__)
  if (variable.is_thread_local) {
    std::uint64_t thread = 0;
    asm("mov %%fs:0, %0" : "=r"(thread));
    return reinterpret_cast<const std::byte*>(thread + variable.begin);
  }
#endif
  return reinterpret_cast<const std::byte*>(variable.begin);
}

/// Copies bytes that another thread may write: to the function itself that is the same race.
__attribute__((no_sanitize("thread"))) void copy(const std::byte* from, std::span<std::byte> to) {
  const volatile std::byte* source = from;
  std::size_t at = 0;
  if (reinterpret_cast<std::uintptr_t>(from) % word == 0) {
    for (; at + word <= to.size(); at += word) {
      const std::uint64_t value = *reinterpret_cast<const volatile std::uint64_t*>(source + at);
      std::memcpy(to.data() + at, &value, word);
    }
  }
  for (; at < to.size(); ++at) to[at] = source[at];
}

/// Whether a number is in a program that is linked to a fixed address. An address there is the same
/// in each run, and numbers of a few millions look like one.
bool in_fixed_program(std::uint64_t value) {
  struct Range {
    std::uint64_t begin = ~std::uint64_t{0};
    std::uint64_t end = 0;
  };
  static const Range range = [] {
    Range all;
    const auto loaded = program::loaded_modules();
    for (const auto& module : loaded->modules()) {
      if (!module->is_main || module->bias != 0) continue;
      for (const auto& segment : module->segments) {
        all.begin = std::min(all.begin, segment.address);
        all.end = std::max(all.end, segment.address + segment.size);
      }
    }
    return all;
  }();
  return value >= range.begin && value < range.end;
}

/// Replaces the addresses in a copy of bytes that are at `from`, but for those that are the same in
/// each run; whether there are any.
bool mask_addresses(const std::byte* from, std::span<std::byte> bytes) {
  constexpr std::uint64_t mask = 0x6164647265737365;
  bool found = false;
  std::size_t at = (word - reinterpret_cast<std::uintptr_t>(from) % word) % word;
  for (; at + word <= bytes.size(); at += word) {
    std::uint64_t value = 0;
    std::memcpy(&value, bytes.data() + at, word);
    if (!os::is_mapped(value)) continue;
    found = true;
    if (!in_fixed_program(value)) std::memcpy(bytes.data() + at, &mask, word);
  }
  return found;
}

/// Calls use(bytes) for the variables' content, piece by piece; whether there are addresses in it.
template <class Use>
bool read(std::span<const VariableBytes> variables, Use use) {
  std::array<std::byte, 4096> buffer;
  bool found = false;
  for (const VariableBytes& variable : variables) {
    const std::byte* const start = start_of(variable);
    for (std::uint64_t at = 0; at < variable.size; at += buffer.size()) {
      const std::span piece(buffer.data(),
                            std::min<std::uint64_t>(buffer.size(), variable.size - at));
      copy(start + at, piece);
      if (mask_addresses(start + at, piece)) found = true;
      use(piece);
    }
  }
  return found;
}

}  // namespace

Digest digest_values(std::span<const VariableBytes> variables) {
  base::DigestStream stream;
  read(variables, [&](std::span<const std::byte> piece) { stream.put(base::digest_of(piece)); });
  return stream.digest();
}

bool hold_addresses(std::span<const VariableBytes> variables) {
  return read(variables, [](std::span<const std::byte>) {});
}

}  // namespace hoist::detail::fingerprint
