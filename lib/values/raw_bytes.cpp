// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/code_address.hpp>
#include <hoist/detail/decoder.hpp>
#include <hoist/detail/encoder.hpp>
#include <hoist/error.hpp>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "os/is_mapped.hpp"
#include "program/place_of.hpp"

namespace hoist::detail {

namespace {

struct Fixup {
  std::size_t at = 0;
  CodeAddress where;
};

/// Stands for a module that is named.
constexpr std::size_t named_module = 0xffffffff;
constexpr std::size_t max_name = std::size_t{1} << 16;

void write_text(Encoder& encoder, const std::string& text) {
  encoder.length(text.size());
  encoder.block(text.data(), text.size());
}

std::string read_text(Decoder& decoder) {
  const std::size_t n = decoder.length();
  if (n > max_name) Decoder::throw_damaged();
  std::string text(n, '\0');
  decoder.block(text.data(), n);
  return text;
}

/// Modules other than the program are known by number only to those who were told.
void write_address(Encoder& encoder, CodeAddress where) {
  const bool is_named = where.module != 0 && encoder.is_for_any_process();
  encoder.length(is_named ? named_module : where.module);
  if (is_named) {
    const ModuleName name = module_name(where.module);
    write_text(encoder, name.path);
    write_text(encoder, name.build_id);
  }
  encoder.length(where.offset);
}

const void* read_address(Decoder& decoder) {
  CodeAddress where;
  where.module = decoder.length();
  if (where.module != named_module) {
    where.offset = decoder.length();
    return resolve_code(where);
  }
  ModuleName name;
  name.path = read_text(decoder);
  name.build_id = read_text(decoder);
  return resolve_code(name, decoder.length());
}

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
    write_address(encoder, fixup.where);
  }
  encoder.block(from, bytes);
}

void decode_raw(Decoder& decoder, void* object, std::size_t bytes) {
  std::vector<std::pair<std::size_t, const void*>> addresses;
  for (std::size_t n = decoder.length(); n > 0; --n) {
    const std::size_t at = decoder.length();
    if (bytes < sizeof(void*) || at > bytes - sizeof(void*)) Decoder::throw_damaged();
    addresses.emplace_back(at, read_address(decoder));
  }
  decoder.block(static_cast<std::byte*>(object), bytes);
  for (const auto& [at, here] : addresses) {
    std::memcpy(static_cast<std::byte*>(object) + at, static_cast<const void*>(&here), sizeof here);
  }
}

void encode_code(Encoder& encoder, const void* address) {
  encoder.note_code(address);
  write_address(encoder, code_address_of(address));
}

const void* decode_code(Decoder& decoder) { return read_address(decoder); }

}  // namespace hoist::detail
