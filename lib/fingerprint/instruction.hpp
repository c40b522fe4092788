// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace hoist::detail::fingerprint {

/// What the walk needs to know of an x86-64 instruction.
struct Instruction {
  enum class Kind : std::uint8_t { other, nop, jump, call, lea, mov, push, add, sub, cmp };
  /// Where the opcode is defined: alone, after 0F, or elsewhere (also with a VEX prefix).
  enum class Map : std::uint8_t { one_byte, two_byte, other };

  Kind kind = Kind::other;  ///< jump: not of a conditional one
  Map map = Map::one_byte;
  std::uint8_t length = 0;
  std::uint8_t opcode = 0;
  std::uint8_t rex = 0;  ///< the prefix, 0 for none
  bool operand_prefix = false;
  bool fs_prefix = false;
  bool has_modrm = false;
  std::uint8_t modrm = 0;
  std::uint8_t sib = 0;      ///< meaningful if the ModRM byte asks for one
  bool is_relative = false;  ///< the immediate is a distance from the end of the instruction
  // Of displacement and immediate: place and size in bytes, 0 for none.
  std::uint8_t displacement_at = 0;
  std::uint8_t displacement_size = 0;
  std::uint8_t immediate_at = 0;
  std::uint8_t immediate_size = 0;
  std::int64_t displacement = 0;
  std::int64_t immediate = 0;

  friend bool operator==(const Instruction&, const Instruction&) = default;

  unsigned mod() const { return modrm >> 6u; }
  unsigned reg() const { return ((rex & 4u) << 1u) | ((modrm >> 3u) & 7u); }
  unsigned rm() const { return modrm & 7u; }
  bool is_wide() const { return (rex & 8) != 0; }
  bool in_memory() const { return has_modrm && mod() != 3; }
  bool has_sib() const { return in_memory() && rm() == 4; }
  /// Whether the memory operand is at a distance from the end of the instruction.
  bool at_address() const { return has_modrm && mod() == 0 && rm() == 5; }
  bool has_base() const { return !has_sib() || (sib & 7) != 5 || mod() != 0; }
  bool has_index() const { return has_sib() && ((sib & 0x38) != 0x20 || (rex & 2) != 0); }
  /// The base register of the memory operand, or the register in its place.
  unsigned base() const { return ((rex & 1u) << 3u) | (has_sib() ? sib & 7u : rm()); }
};

/// Decodes the instruction at the start of `bytes`; false if there is none, or not all of it.
bool decode_instruction(std::span<const std::byte> bytes, Instruction& instruction);

/// The same for the common forms of instructions only, by a table: an eighth of the time of the
/// general decoder, which decides about all others.
bool decode_common(std::span<const std::byte> bytes, Instruction& instruction);
bool decode_general(std::span<const std::byte> bytes, Instruction& instruction);

struct MemoryAccess {
  std::uint32_t size = 0;  ///< 0: none
  bool reads = false;
  bool writes = false;
};

/// What the instruction, decoded from the start of `bytes`, does to its memory operand.
MemoryAccess memory_access(std::span<const std::byte> bytes, const Instruction& instruction);

/// Whether this build can read the machine code of the processor it runs on.
bool can_decode();

}  // namespace hoist::detail::fingerprint
