// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/code_address.hpp>
#include <hoist/detail/decoder.hpp>
#include <hoist/detail/encoder.hpp>
#include <hoist/error.hpp>

#include <cstring>

#include "os/is_mapped.hpp"
#include "program/place_of.hpp"

namespace hoist::detail {

namespace {

struct Fixup {
  std::size_t at = 0;
  CodeAddress where;
};

/// Words that must be translated. Nearly always none, which is found without a system call.
std::vector<Fixup> scan(const std::byte* object, std::size_t bytes, const std::type_info& type) {
  std::vector<Fixup> fixups;
  for (std::size_t at = 0; at + sizeof(std::uintptr_t) <= bytes; at += sizeof(std::uintptr_t)) {
    std::uintptr_t word = 0;
    std::memcpy(&word, object + at, sizeof word);
    if (!os::is_mapped(word)) continue;
    CodeAddress code;
    const program::Place place = program::place_of(word, code);
    if (place == program::Place::constant) {
      fixups.push_back({at, code});
    } else {
      throw CannotTravel(
          readable_type(type) + " holds at byte " + std::to_string(at) +
          " the address of memory of this process (a capture by reference, `this`, or a pointer), "
          "which means nothing in another: pass the value as an argument, or use the backend "
          "\"threads\" or \"fork\"");
    }
  }
  return fixups;
}

}  // namespace

void encode_raw(Encoder& encoder, const void* object, std::size_t bytes,
                const std::type_info& type) {
  const auto* const from = static_cast<const std::byte*>(object);
  const auto fixups = scan(from, bytes, type);
  encoder.length(fixups.size());
  for (const Fixup& fixup : fixups) {
    encoder.length(fixup.at);
    encoder.length(fixup.where.module);
    encoder.length(fixup.where.offset);
  }
  encoder.block(from, bytes);
}

void decode_raw(Decoder& decoder, void* object, std::size_t bytes) {
  std::vector<Fixup> fixups;
  for (std::size_t n = decoder.length(); n > 0; --n) {
    Fixup fixup;
    fixup.at = decoder.length();
    fixup.where = {decoder.length(), 0};
    fixup.where.offset = decoder.length();
    if (bytes < sizeof(void*) || fixup.at > bytes - sizeof(void*)) Decoder::throw_damaged();
    fixups.push_back(fixup);
  }
  decoder.block(static_cast<std::byte*>(object), bytes);
  for (const Fixup& fixup : fixups) {
    const void* const here = resolve_code(fixup.where);
    std::memcpy(static_cast<std::byte*>(object) + fixup.at, static_cast<const void*>(&here),
                sizeof here);
  }
}

void encode_code(Encoder& encoder, const void* address) {
  encoder.note_code(address);
  const CodeAddress where = code_address_of(address);
  encoder.length(where.module);
  encoder.length(where.offset);
}

const void* decode_code(Decoder& decoder) {
  CodeAddress where;
  where.module = decoder.length();
  where.offset = decoder.length();
  return resolve_code(where);
}

}  // namespace hoist::detail
