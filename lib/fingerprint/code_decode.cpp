// SPDX-License-Identifier: BSD-3-Clause
#include "fingerprint/code_decode.hpp"

#include <algorithm>
#include <optional>

#if defined(__x86_64__)
#include <Zydis/Zydis.h>
#endif

namespace hoist::detail::fingerprint {

std::uint32_t DecodedCode::index_of(std::uint64_t address) const {
  const auto found = std::lower_bound(offsets.begin(), offsets.end(), address - begin);
  return static_cast<std::uint32_t>(found - offsets.begin());
}

bool DecodedCode::starts_instruction(std::uint64_t address) const {
  return contains(address) && std::binary_search(offsets.begin(), offsets.end(), address - begin);
}

#if defined(__x86_64__)

namespace {

/// What stands in the stream for an instruction that isn't put as its bytes. None is a valid first
/// byte of an instruction in 64-bit mode.
enum class Mark : std::uint8_t {
  jump_inside = 0x06,
  jump_outside = 0x07,
  reference = 0x0e,
  raw = 0x16
};

constexpr std::uint8_t no_register = 0xff;

class CodeReader {
 public:
  CodeReader(program::ElfImage& image, std::uint64_t begin, std::span<const std::byte> bytes,
             DecodedCode reused)
      : image_(image), bytes_(bytes) {
    code_.offsets.swap(reused.offsets);
    code_.refs.swap(reused.refs);
    code_.offsets.clear();
    code_.refs.clear();
    code_.begin = begin;
    code_.end = begin + bytes.size();
    ZydisDecoderInit(&decoder_, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    full_ = decoder_;
    // Lengths and fields are all that most instructions need, at two thirds of the cost.
    ZydisDecoderEnableMode(&decoder_, ZYDIS_DECODER_MODE_MINIMAL, ZYAN_TRUE);
  }

  DecodedCode read() {
    code_.offsets.reserve(bytes_.size() / 4);
    stream_.reserve(bytes_.size() + bytes_.size() / 4);
    for (at_ = 0; at_ < bytes_.size();) {
      ZydisDecoderContext context;
      if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder_, &context, bytes_.data() + at_,
                                                      bytes_.size() - at_, &instruction_))) {
        stream_.put8(static_cast<std::uint8_t>(Mark::raw));
        stream_.put(bytes_.subspan(at_));
        break;
      }
      next_ = code_.begin + at_ + instruction_.length;
      if (instruction_.mnemonic != ZYDIS_MNEMONIC_NOP) {
        code_.offsets.push_back(static_cast<std::uint32_t>(at_));
        put_instruction();
      }
      at_ += instruction_.length;
    }
    for (const auto& [position, target] : jumps_) stream_.patch32(position, code_.index_of(target));
    code_.digest = stream_.digest();
    return std::move(code_);
  }

 private:
  struct Jump {
    std::size_t position;
    std::uint64_t target;
  };

  void put_instruction() {
    const auto& raw = instruction_.raw;
    if (raw.imm[0].is_relative) {
      // Short (7x, EB) and near (0F 8x, E9) forms of a jump count the same.
      const std::uint8_t opcode = instruction_.opcode;
      const bool condition =
          instruction_.opcode_map == ZYDIS_OPCODE_MAP_0F && (opcode & 0xf0) == 0x80;
      put_branch(next_ + static_cast<std::uint64_t>(raw.imm[0].value.s),
                 condition        ? static_cast<std::uint8_t>(0x70 | (opcode & 0x0f))
                 : opcode == 0xe9 ? std::uint8_t{0xeb}
                                  : opcode);
      return;
    }
    if (instruction_.mnemonic == ZYDIS_MNEMONIC_JMP) code_.jumps_indirectly = true;
    start_ = stream_.size();
    stream_.put(bytes_.subspan(at_, instruction_.length));
    const bool in_memory = raw.modrm.offset != 0 && raw.modrm.mod != 3;
    const bool at_address = in_memory && raw.modrm.mod == 0 && raw.modrm.rm == 5;
    // A jump through a register mostly belongs to a table of jumps; one through a member is a call.
    const bool calls =
        instruction_.mnemonic == ZYDIS_MNEMONIC_CALL ||
        (instruction_.mnemonic == ZYDIS_MNEMONIC_JMP && in_memory && raw.modrm.rm != 4);
    if (calls && !at_address) code_.calls_by_pointer = true;
    if (at_address) {
      put_reference(next_ + static_cast<std::uint64_t>(raw.disp.value), memory_use(false),
                    raw.disp.offset, 4);
    } else if (in_memory && raw.disp.size == 32) {
      put_displacement();
    }
    if (raw.imm[0].size >= 32) put_immediate();
    remember_thread_pointer();
  }

  void put_branch(std::uint64_t target, std::uint8_t short_opcode) {
    const bool inside = code_.contains(target);
    stream_.put8(static_cast<std::uint8_t>(inside ? Mark::jump_inside : Mark::jump_outside));
    stream_.put8(short_opcode);
    if (inside) {
      jumps_.push_back({stream_.size(), target});
      stream_.put32(0);
    } else {
      add(target, RefUse::branch);
    }
  }

  /// A 32-bit displacement that isn't relative to the instruction: an absolute address in code that
  /// is linked to a fixed one, an offset from the thread pointer, or a plain number.
  void put_displacement() {
    const auto& raw = instruction_.raw;
    const bool sib = raw.modrm.rm == 4;
    const bool has_base = !(sib && raw.sib.base == 5 && raw.modrm.mod == 0);
    const bool has_index = sib && (raw.sib.index != 4 || rex_x());
    const auto value = static_cast<std::uint64_t>(raw.disp.value);
    if (raw.disp.value < 0) {
      const bool on_thread_pointer = has_base && !has_index &&
                                     base_register() == thread_register_ &&
                                     code_.offsets.size() - thread_instruction_ < 8;
      if (on_thread_pointer || (!has_base && !has_index && has_prefix(0x64))) {
        if (put_tls(value, raw.disp.offset) && instruction_.mnemonic != ZYDIS_MNEMONIC_LEA) {
          note_access(code_.refs.back());
        }
      }
    } else if (!image_.is_relocatable() && !has_prefix(0x64) && is_data_address(value)) {
      put_reference(value, memory_use(has_base || has_index), raw.disp.offset, 4);
    }
  }

  void put_immediate() {
    const auto& imm = instruction_.raw.imm[0];
    const bool wide = rex_w();
    if (instruction_.mnemonic == ZYDIS_MNEMONIC_MOV && wide && imm.size == 32 && imm.value.s < -1) {
      const auto count = static_cast<std::uint64_t>(-imm.value.s);
      if (code_.counts_from_end == 0 || count < code_.counts_from_end) {
        code_.counts_from_end = count;
      }
    }
    const auto value = static_cast<std::uint64_t>(imm.value.s);
    if (instruction_.mnemonic == ZYDIS_MNEMONIC_ADD && wide && imm.value.s < 0 &&
        instruction_.raw.modrm.mod == 3 && base_register() == thread_register_ &&
        code_.offsets.size() - thread_instruction_ < 8) {
      put_tls(value, imm.offset);
      return;
    }
    if (image_.is_relocatable() || !is_pointer(value)) return;
    switch (instruction_.mnemonic) {
      case ZYDIS_MNEMONIC_MOV:
      case ZYDIS_MNEMONIC_PUSH: break;
      case ZYDIS_MNEMONIC_CMP:
        put_reference(value, RefUse::compare, imm.offset, imm.size / 8);
        return;
      case ZYDIS_MNEMONIC_ADD:
      case ZYDIS_MNEMONIC_SUB:
        if (!wide) return;
        break;
      default: return;
    }
    put_reference(value, RefUse::address, imm.offset, imm.size / 8);
  }

  bool put_tls(std::uint64_t thread_offset, std::uint8_t field) {
    const std::uint64_t offset = thread_offset + image_.tls_block_size();
    if (image_.tls_at(offset) == nullptr) return false;
    put_reference(offset, RefUse::tls, field, 4);
    return true;
  }

  void put_reference(std::uint64_t target, RefUse use, std::uint8_t field, std::size_t count) {
    stream_.blank(start_ + field, count);
    stream_.put8(static_cast<std::uint8_t>(Mark::reference));
    stream_.put8(static_cast<std::uint8_t>(use));
    CodeRef& ref = add(target, use);
    if (use == RefUse::access || use == RefUse::indexed) note_access(ref);
    if (use == RefUse::access && ref.size == 0) ref.use = RefUse::address;
  }

  CodeRef& add(std::uint64_t target, RefUse use) {
    code_.refs.push_back({.target = target,
                          .instruction = static_cast<std::uint32_t>(code_.offsets.size() - 1),
                          .use = use});
    return code_.refs.back();
  }

  RefUse memory_use(bool indexed) const {
    if (instruction_.mnemonic == ZYDIS_MNEMONIC_LEA) return RefUse::address;
    return indexed ? RefUse::indexed : RefUse::access;
  }

  /// What the instruction does to its memory operand. Operands are asked for only where the opcode
  /// doesn't tell.
  void note_access(CodeRef& ref) const {
    if (note_common_access(ref)) return;
    ZydisDecodedInstruction instruction;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&full_, bytes_.data() + at_, bytes_.size() - at_,
                                             &instruction, operands))) {
      return;
    }
    for (unsigned i = 0; i < instruction.operand_count; ++i) {
      if (operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY &&
          operands[i].visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT) {
        ref.size = operands[i].size / 8;
        ref.reads = (operands[i].actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0;
        ref.writes = (operands[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
        return;
      }
    }
  }

  bool note_common_access(CodeRef& ref) const {
    if (instruction_.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY) return false;
    const std::uint8_t opcode = instruction_.opcode;
    if (instruction_.opcode_map == ZYDIS_OPCODE_MAP_0F) {
      if ((opcode & 0xf6) != 0xb6) return false;  // movzx, movsx
      ref.size = (opcode & 1) == 0 ? 1 : 2;
      ref.reads = true;
      return true;
    }
    if (instruction_.opcode_map != ZYDIS_OPCODE_MAP_DEFAULT) return false;
    const bool arithmetic = opcode < 0x40 && (opcode & 7) < 4;
    const bool exchange = (opcode & 0xfe) == 0x86;
    const bool test = (opcode & 0xfe) == 0x84;
    const bool store = (opcode & 0xfe) == 0x88;
    const bool load = (opcode & 0xfe) == 0x8a;
    if (!arithmetic && !exchange && !test && !store && !load) return false;
    const bool compare = (opcode & 0xf8) == 0x38;
    ref.size = (opcode & 1) == 0 ? 1 : rex_w() ? 8 : has_prefix(0x66) ? 2 : 4;
    ref.reads = !store;
    ref.writes = store || exchange || (arithmetic && (opcode & 2) == 0 && !compare);
    return true;
  }

  /// Follows `mov reg, fs:0`, which precedes offsets from the thread pointer in other instructions.
  void remember_thread_pointer() {
    const auto& raw = instruction_.raw;
    if (instruction_.mnemonic == ZYDIS_MNEMONIC_MOV && has_prefix(0x64) && raw.disp.size == 32 &&
        raw.disp.value == 0 && raw.modrm.mod == 0 && raw.modrm.rm == 4) {
      thread_register_ = static_cast<std::uint8_t>(raw.modrm.reg | (rex_r() ? 8 : 0));
      thread_instruction_ = code_.offsets.size();
    }
  }

  bool has_rex() const { return (instruction_.attributes & ZYDIS_ATTRIB_HAS_REX) != 0; }
  bool rex_w() const { return has_rex() && instruction_.raw.rex.W != 0; }
  bool rex_r() const { return has_rex() && instruction_.raw.rex.R != 0; }
  bool rex_x() const { return has_rex() && instruction_.raw.rex.X != 0; }
  bool rex_b() const { return has_rex() && instruction_.raw.rex.B != 0; }

  std::uint8_t base_register() const {
    const auto& raw = instruction_.raw;
    const std::uint8_t base = raw.modrm.rm == 4 && raw.modrm.mod != 3 ? raw.sib.base : raw.modrm.rm;
    return static_cast<std::uint8_t>(base | (rex_b() ? 8 : 0));
  }

  bool has_prefix(std::uint8_t value) const {
    for (unsigned i = 0; i < instruction_.raw.prefix_count; ++i) {
      if (instruction_.raw.prefixes[i].value == value) return true;
    }
    return false;
  }

  bool is_data_address(std::uint64_t value) const {
    const program::ElfSection* section = image_.section_at(value);
    return section != nullptr && section->kind != program::SectionKind::code;
  }

  /// Whether a number in code linked to a fixed address is one: the start of a function, or data
  /// that is known to be there. Other numbers in the range count as numbers.
  bool is_pointer(std::uint64_t value) {
    const program::ElfSection* section = image_.section_at(value);
    if (section == nullptr) return image_.object_ending_at(value) != nullptr;
    if (section->kind == program::SectionKind::code) {
      const program::ElfSymbol* function = image_.function_at(value);
      return function != nullptr ? function->address == value : plt_slot(image_, value) != 0;
    }
    if (section->kind == program::SectionKind::constant ||
        section->kind == program::SectionKind::metadata)
      return true;
    const program::ElfSymbol* object = image_.object_at(value);
    return (object != nullptr && value - object->address <= program::max_pointer_offset) ||
           image_.object_ending_at(value) != nullptr;
  }

  program::ElfImage& image_;
  std::span<const std::byte> bytes_;
  ZydisDecoder decoder_;
  ZydisDecoder full_;
  ZydisDecodedInstruction instruction_;
  DecodedCode code_;
  base::DigestStream stream_;
  std::vector<Jump> jumps_;
  std::size_t at_ = 0;
  std::size_t start_ = 0;
  std::uint64_t next_ = 0;
  std::uint8_t thread_register_ = no_register;
  std::size_t thread_instruction_ = 0;
};

}  // namespace

bool can_decode() { return true; }

DecodedCode decode_code(program::ElfImage& image, std::uint64_t begin, std::uint64_t end,
                        DecodedCode reused) {
  const auto bytes = image.bytes(begin, end - begin);
  return CodeReader(image, begin, bytes, std::move(reused)).read();
}

std::uint64_t plt_slot(const program::ElfImage& image, std::uint64_t address) {
  ZydisDecoder decoder;
  ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
  const program::ElfSection* section = image.section_at(address);
  if (section == nullptr || section->kind != program::SectionKind::code) return 0;
  auto bytes = image.bytes(address, std::min<std::uint64_t>(16, section->end() - address));
  while (!bytes.empty()) {
    ZydisDecoderContext context;
    ZydisDecodedInstruction instruction;
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, &context, bytes.data(), bytes.size(),
                                                    &instruction))) {
      return 0;
    }
    address += instruction.length;
    bytes = bytes.subspan(instruction.length);
    if (instruction.mnemonic == ZYDIS_MNEMONIC_ENDBR64) continue;
    const auto& raw = instruction.raw;
    if (instruction.mnemonic != ZYDIS_MNEMONIC_JMP || raw.imm[0].is_relative ||
        raw.modrm.offset == 0 || raw.modrm.mod != 0 || raw.modrm.rm != 5) {
      return 0;
    }
    return address + static_cast<std::uint64_t>(raw.disp.value);
  }
  return 0;
}

#else

bool can_decode() { return false; }
DecodedCode decode_code(program::ElfImage& /*image*/, std::uint64_t /*begin*/,
                        std::uint64_t /*end*/, DecodedCode /*reused*/) {
  return {};
}
std::uint64_t plt_slot(const program::ElfImage& /*image*/, std::uint64_t /*address*/) { return 0; }

#endif

}  // namespace hoist::detail::fingerprint
