// SPDX-License-Identifier: BSD-3-Clause
#include "fingerprint/instruction.hpp"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <Zydis/Zydis.h>
#endif

namespace hoist::detail::fingerprint {

namespace {

using Kind = Instruction::Kind;
using Map = Instruction::Map;

/// What follows an opcode.
enum Part : std::uint8_t {
  modrm = 1,
  group = 2,  ///< the ModRM byte tells more of the instruction
  immediate8 = 4,
  immediate32 = 8,
  sign = 16,  ///< the immediate is extended by its sign
  relative = 32,
};

/// The prefixes with which an opcode is covered.
enum Prefixes : std::uint8_t { plain = 1, with_66 = 2, with_f3 = 4, with_f2 = 8, with_any = 15 };

struct Form {
  std::uint8_t parts = 0;
  std::uint8_t prefixes = 0;  ///< 0: the opcode isn't covered
  Kind kind = Kind::other;
};

using Forms = std::array<Form, 256>;

constexpr void set(Forms& forms, unsigned first, unsigned last, unsigned parts,
                   unsigned prefixes = plain, Kind kind = Kind::other) {
  for (unsigned i = first; i <= last; ++i) {
    forms[i] = {static_cast<std::uint8_t>(parts), static_cast<std::uint8_t>(prefixes), kind};
  }
}

constexpr Kind arithmetic(unsigned operation) {
  switch (operation) {
    case 0: return Kind::add;
    case 5: return Kind::sub;
    case 7: return Kind::cmp;
    default: return Kind::other;
  }
}

constexpr Forms one_byte_forms() {
  Forms forms{};
  for (unsigned i = 0; i < 8; ++i) {
    set(forms, i * 8, i * 8 + 3, modrm, plain, arithmetic(i));
    set(forms, i * 8 + 4, i * 8 + 4, immediate8 | sign, plain, arithmetic(i));
    set(forms, i * 8 + 5, i * 8 + 5, immediate32 | sign, plain, arithmetic(i));
  }
  set(forms, 0x50, 0x57, 0, plain, Kind::push);
  set(forms, 0x58, 0x5f, 0);      // pop
  set(forms, 0x63, 0x63, modrm);  // movsxd
  set(forms, 0x68, 0x68, immediate32 | sign, plain, Kind::push);
  set(forms, 0x69, 0x69, modrm | immediate32 | sign);  // imul
  set(forms, 0x6a, 0x6a, immediate8 | sign, plain, Kind::push);
  set(forms, 0x6b, 0x6b, modrm | immediate8 | sign);
  set(forms, 0x70, 0x7f, immediate8 | sign | relative);
  set(forms, 0x80, 0x80, modrm | group | immediate8 | sign);  // add, or, ...
  set(forms, 0x81, 0x81, modrm | group | immediate32 | sign);
  set(forms, 0x83, 0x83, modrm | group | immediate8 | sign);
  set(forms, 0x84, 0x87, modrm);  // test, xchg
  set(forms, 0x88, 0x8b, modrm, plain, Kind::mov);
  set(forms, 0x8d, 0x8d, modrm | group, plain, Kind::lea);
  set(forms, 0x98, 0x99, 0);                  // cdqe, cqo
  set(forms, 0xa8, 0xa8, immediate8 | sign);  // test
  set(forms, 0xa9, 0xa9, immediate32 | sign);
  set(forms, 0xc0, 0xc1, modrm | group | immediate8);  // shifts
  set(forms, 0xc3, 0xc3, 0);                           // ret
  set(forms, 0xc6, 0xc6, modrm | group | immediate8 | sign, plain, Kind::mov);
  set(forms, 0xc7, 0xc7, modrm | group | immediate32 | sign, plain, Kind::mov);
  set(forms, 0xc9, 0xc9, 0);              // leave
  set(forms, 0xd0, 0xd3, modrm | group);  // shifts
  set(forms, 0xe8, 0xe8, immediate32 | sign | relative, plain, Kind::call);
  set(forms, 0xe9, 0xe9, immediate32 | sign | relative, plain, Kind::jump);
  set(forms, 0xeb, 0xeb, immediate8 | sign | relative, plain, Kind::jump);
  set(forms, 0xf6, 0xf7, modrm | group);  // not, neg, mul, div
  set(forms, 0xfe, 0xff, modrm | group);  // inc, dec, call, jmp, push
  return forms;
}

constexpr Forms two_byte_forms() {
  Forms forms{};
  set(forms, 0x10, 0x11, modrm, with_any);         // movups, movss, ...
  set(forms, 0x14, 0x15, modrm, plain | with_66);  // unpcklps, unpckhps
  set(forms, 0x1f, 0x1f, modrm | group, plain | with_66, Kind::nop);
  set(forms, 0x28, 0x29, modrm, plain | with_66);    // movaps
  set(forms, 0x2a, 0x2a, modrm, with_f3 | with_f2);  // conversions
  set(forms, 0x2c, 0x2d, modrm, with_f3 | with_f2);
  set(forms, 0x2e, 0x2f, modrm, plain | with_66);  // ucomiss, comiss
  set(forms, 0x40, 0x4f, modrm);                   // cmov
  set(forms, 0x51, 0x51, modrm, with_any);         // sqrt
  set(forms, 0x54, 0x57, modrm, plain | with_66);  // andps, ...
  set(forms, 0x58, 0x5a, modrm, with_any);         // add, mul, conversions
  set(forms, 0x5c, 0x5f, modrm, with_any);         // sub, min, div, max
  set(forms, 0x6e, 0x6f, modrm, with_66);          // movd, movdqa
  set(forms, 0x7e, 0x7f, modrm, with_66 | with_f3);
  set(forms, 0x80, 0x8f, immediate32 | sign | relative);
  set(forms, 0x90, 0x9f, modrm);           // set
  set(forms, 0xaf, 0xaf, modrm);           // imul
  set(forms, 0xb6, 0xb7, modrm);           // movzx
  set(forms, 0xbe, 0xbf, modrm);           // movsx
  set(forms, 0xd6, 0xd6, modrm, with_66);  // movq
  set(forms, 0xef, 0xef, modrm, with_66);  // pxor
  return forms;
}

constexpr Forms one_byte = one_byte_forms();
constexpr Forms two_byte = two_byte_forms();

/// Completes a form by the ModRM byte; false if that isn't covered.
bool refine(Form& form, const Instruction& instruction) {
  const unsigned operation = (instruction.modrm >> 3u) & 7u;
  switch (instruction.opcode) {
    case 0x80:
    case 0x81:
    case 0x83: form.kind = arithmetic(operation); return true;
    case 0x8d: return instruction.mod() != 3;
    case 0xf6:
      if (operation == 0) form.parts |= immediate8 | sign;
      return operation != 1;
    case 0xf7:
      if (operation == 0) form.parts |= immediate32 | sign;
      return operation != 1;
    case 0xfe: return operation <= 1;
    case 0xff:
      if (operation == 2) form.kind = Kind::call;
      if (operation == 4) form.kind = Kind::jump;
      if (operation == 6) form.kind = Kind::push;
      return operation != 3 && operation != 5 && operation != 7;
    case 0xc6:
    case 0xc7:
    case 0x1f: return operation == 0;
    default: return operation != 6;  // shifts
  }
}

std::int64_t signed_number(const std::uint8_t* at, std::size_t size) {
  if (size == 1) return static_cast<std::int8_t>(*at);
  std::int32_t value = 0;
  std::memcpy(&value, at, sizeof value);
  return value;
}

}  // namespace

bool decode_common(std::span<const std::byte> bytes, Instruction& instruction) {
  std::array<std::uint8_t, 16> padded{};
  const auto* const start = bytes.size() < padded.size()
                                ? padded.data()
                                : reinterpret_cast<const std::uint8_t*>(bytes.data());
  if (start == padded.data()) std::memcpy(padded.data(), bytes.data(), bytes.size());
  const std::uint8_t* at = start;

  instruction = {};
  std::uint8_t prefix = plain;
  if (*at == 0x66 || *at == 0xf2 || *at == 0xf3) {
    prefix = *at == 0x66 ? with_66 : *at == 0xf3 ? with_f3 : with_f2;
    instruction.operand_prefix = prefix == with_66;
    ++at;
  }
  if ((*at & 0xf0) == 0x40) instruction.rex = *at++;
  if (*at == 0x0f) {
    ++at;
    instruction.map = Map::two_byte;
  }
  instruction.opcode = *at++;
  Form form = (instruction.map == Map::one_byte ? one_byte : two_byte)[instruction.opcode];
  if ((form.prefixes & prefix) == 0) return false;

  if ((form.parts & modrm) != 0) {
    instruction.has_modrm = true;
    instruction.modrm = *at++;
    if ((form.parts & group) != 0 && !refine(form, instruction)) return false;
    const unsigned mod = instruction.mod();
    if (instruction.has_sib()) instruction.sib = *at++;
    const bool alone = mod == 0 && (instruction.at_address() || !instruction.has_base());
    if (mod == 1 || mod == 2 || alone) {
      instruction.displacement_at = static_cast<std::uint8_t>(at - start);
      instruction.displacement_size = mod == 1 ? 1 : 4;
      instruction.displacement = signed_number(at, instruction.displacement_size);
      at += instruction.displacement_size;
    }
  }
  if ((form.parts & (immediate8 | immediate32)) != 0) {
    instruction.immediate_at = static_cast<std::uint8_t>(at - start);
    instruction.immediate_size = (form.parts & immediate8) != 0 ? 1 : 4;
    instruction.immediate = signed_number(at, instruction.immediate_size);
    if ((form.parts & sign) == 0) instruction.immediate &= 0xff;
    instruction.is_relative = (form.parts & relative) != 0;
    at += instruction.immediate_size;
  }
  instruction.kind = form.kind;
  instruction.length = static_cast<std::uint8_t>(at - start);
  return instruction.length <= bytes.size();
}

bool decode_instruction(std::span<const std::byte> bytes, Instruction& instruction) {
  return decode_common(bytes, instruction) || decode_general(bytes, instruction);
}

#if defined(__x86_64__)

namespace {

Kind kind_of(ZydisMnemonic mnemonic) {
  switch (mnemonic) {
    case ZYDIS_MNEMONIC_NOP: return Kind::nop;
    case ZYDIS_MNEMONIC_JMP: return Kind::jump;
    case ZYDIS_MNEMONIC_CALL: return Kind::call;
    case ZYDIS_MNEMONIC_LEA: return Kind::lea;
    case ZYDIS_MNEMONIC_MOV: return Kind::mov;
    case ZYDIS_MNEMONIC_PUSH: return Kind::push;
    case ZYDIS_MNEMONIC_ADD: return Kind::add;
    case ZYDIS_MNEMONIC_SUB: return Kind::sub;
    case ZYDIS_MNEMONIC_CMP: return Kind::cmp;
    default: return Kind::other;
  }
}

Map map_of(const ZydisDecodedInstruction& decoded) {
  if (decoded.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY) return Map::other;
  switch (decoded.opcode_map) {
    case ZYDIS_OPCODE_MAP_DEFAULT: return Map::one_byte;
    case ZYDIS_OPCODE_MAP_0F: return Map::two_byte;
    default: return Map::other;
  }
}

/// What the opcode alone tells; false if it doesn't.
bool common_access(const Instruction& instruction, MemoryAccess& access) {
  const std::uint8_t opcode = instruction.opcode;
  if (instruction.map == Map::two_byte) {
    if ((opcode & 0xf6) != 0xb6) return false;  // movzx, movsx
    access = {.size = (opcode & 1) == 0 ? 1u : 2u, .reads = true};
    return true;
  }
  if (instruction.map != Map::one_byte) return false;
  const bool arithmetic = opcode < 0x40 && (opcode & 7) < 4;
  const bool exchange = (opcode & 0xfe) == 0x86;
  const bool test = (opcode & 0xfe) == 0x84;
  const bool store = (opcode & 0xfe) == 0x88;
  const bool load = (opcode & 0xfe) == 0x8a;
  if (!arithmetic && !exchange && !test && !store && !load) return false;
  const bool compare = (opcode & 0xf8) == 0x38;
  if ((opcode & 1) == 0) {
    access.size = 1;
  } else if (instruction.is_wide()) {
    access.size = 8;
  } else {
    access.size = instruction.operand_prefix ? 2 : 4;
  }
  access.reads = !store;
  access.writes = store || exchange || (arithmetic && (opcode & 2) == 0 && !compare);
  return true;
}

}  // namespace

bool decode_general(std::span<const std::byte> bytes, Instruction& instruction) {
  ZydisDecoder decoder;
  ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
  // Lengths and fields are all that is needed, at two thirds of the cost.
  ZydisDecoderEnableMode(&decoder, ZYDIS_DECODER_MODE_MINIMAL, ZYAN_TRUE);
  ZydisDecoderContext context;
  ZydisDecodedInstruction decoded;
  if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, &context, bytes.data(), bytes.size(),
                                                  &decoded))) {
    return false;
  }
  const auto& raw = decoded.raw;
  instruction = {.kind = kind_of(decoded.mnemonic),
                 .map = map_of(decoded),
                 .length = decoded.length,
                 .opcode = decoded.opcode,
                 .has_modrm = raw.modrm.offset != 0,
                 .is_relative = raw.imm[0].is_relative != 0,
                 .displacement_at = raw.disp.offset,
                 .displacement_size = static_cast<std::uint8_t>(raw.disp.size / 8),
                 .immediate_at = raw.imm[0].offset,
                 .immediate_size = static_cast<std::uint8_t>(raw.imm[0].size / 8),
                 .displacement = raw.disp.value,
                 .immediate = raw.imm[0].value.s};
  const auto byte = [&](std::size_t at) { return std::to_integer<std::uint8_t>(bytes[at]); };
  if (instruction.has_modrm) instruction.modrm = byte(raw.modrm.offset);
  if (instruction.has_sib()) instruction.sib = byte(raw.sib.offset);
  if ((decoded.attributes & ZYDIS_ATTRIB_HAS_REX) != 0) instruction.rex = byte(raw.rex.offset);
  for (unsigned i = 0; i < raw.prefix_count; ++i) {
    if (raw.prefixes[i].value == 0x64) instruction.fs_prefix = true;
    if (raw.prefixes[i].value == 0x66) instruction.operand_prefix = true;
  }
  return true;
}

MemoryAccess memory_access(std::span<const std::byte> bytes, const Instruction& instruction) {
  MemoryAccess access;
  if (common_access(instruction, access)) return access;
  ZydisDecoder decoder;
  ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
  ZydisDecodedInstruction decoded;
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
  if (!ZYAN_SUCCESS(
          ZydisDecoderDecodeFull(&decoder, bytes.data(), bytes.size(), &decoded, operands))) {
    return access;
  }
  for (unsigned i = 0; i < decoded.operand_count; ++i) {
    if (operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY &&
        operands[i].visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT) {
      return {.size = operands[i].size / 8u,
              .reads = (operands[i].actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0,
              .writes = (operands[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0};
    }
  }
  return access;
}

bool can_decode() { return true; }

#else

bool decode_general(std::span<const std::byte> /*bytes*/, Instruction& /*instruction*/) {
  return false;
}
MemoryAccess memory_access(std::span<const std::byte> /*bytes*/,
                           const Instruction& /*instruction*/) {
  return {};
}
bool can_decode() { return false; }

#endif

}  // namespace hoist::detail::fingerprint
