// SPDX-License-Identifier: BSD-3-Clause
#include "fingerprint/code_decode.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "fingerprint/instruction.hpp"

namespace hoist::detail::fingerprint {

std::uint32_t DecodedCode::index_of(std::uint64_t address) const {
  const auto found = std::lower_bound(offsets.begin(), offsets.end(), address - begin);
  return static_cast<std::uint32_t>(found - offsets.begin());
}

bool DecodedCode::starts_instruction(std::uint64_t address) const {
  return contains(address) && std::binary_search(offsets.begin(), offsets.end(), address - begin);
}

namespace {

using Kind = Instruction::Kind;

/// What stands in the stream for an instruction that isn't put as its bytes. None is a valid first
/// byte of an instruction in 64-bit mode.
enum class Mark : std::uint8_t {
  jump_inside = 0x06,
  jump_outside = 0x07,
  reference = 0x0e,
  raw = 0x16
};

constexpr unsigned no_register = 0xff;

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
  }

  DecodedCode read() {
    code_.offsets.reserve(bytes_.size() / 4);
    stream_.reserve(bytes_.size() + bytes_.size() / 4);
    while (at_ < bytes_.size()) {
      if (!decode_instruction(bytes_.subspan(at_), instruction_)) {
        put_up_to(at_);
        stream_.put8(static_cast<std::uint8_t>(Mark::raw));
        at_ = bytes_.size();
        break;
      }
      next_ = at_ + instruction_.length;
      if (instruction_.kind == Kind::nop) {
        put_up_to(at_);
        done_ = next_;
      } else {
        code_.offsets.push_back(static_cast<std::uint32_t>(at_));
        visit();
      }
      at_ = next_;
    }
    put_up_to(at_);
    for (const auto& [position, target] : jumps_) stream_.patch32(position, code_.index_of(target));
    code_.digest = stream_.digest();
    return std::move(code_);
  }

 private:
  struct Jump {
    std::size_t position;
    std::uint64_t target;
  };

  /// Puts the bytes that were decoded since the last call, before `end`.
  void put_up_to(std::size_t end) {
    stream_.put(bytes_.subspan(done_, end - done_));
    done_ = end;
  }

  std::uint64_t next_address() const { return code_.begin + next_; }

  /// Most instructions only wait for being put together with those around them.
  void visit() {
    if (instruction_.is_relative) {
      visit_branch();
      return;
    }
    if (instruction_.kind == Kind::jump) code_.jumps_indirectly = true;
    const bool in_memory = instruction_.in_memory();
    // A jump through a register mostly belongs to a table of jumps; one through a member is a call.
    const bool calls = instruction_.kind == Kind::call ||
                       (instruction_.kind == Kind::jump && in_memory && instruction_.rm() != 4);
    if (calls && !instruction_.at_address()) code_.calls_by_pointer = true;
    if (instruction_.at_address()) {
      put_reference(next_address() + static_cast<std::uint64_t>(instruction_.displacement),
                    memory_use(false), instruction_.displacement_at, 4);
    } else if (in_memory && instruction_.displacement_size == 4) {
      visit_displacement();
    }
    if (instruction_.immediate_size >= 4) visit_immediate();
    if (instruction_.fs_prefix) remember_thread_pointer();
  }

  void visit_branch() {
    // Short (7x, EB) and near (0F 8x, E9) forms of a jump count the same.
    std::uint8_t opcode = instruction_.opcode;
    const bool near_condition =
        instruction_.map == Instruction::Map::two_byte && (opcode & 0xf0) == 0x80;
    if (near_condition) {
      opcode = static_cast<std::uint8_t>(0x70 | (opcode & 0x0f));
    } else if (opcode == 0xe9) {
      opcode = 0xeb;
    }
    const std::uint64_t target =
        next_address() + static_cast<std::uint64_t>(instruction_.immediate);
    const bool inside = code_.contains(target);
    put_up_to(at_);
    done_ = next_;
    stream_.put8(static_cast<std::uint8_t>(inside ? Mark::jump_inside : Mark::jump_outside));
    stream_.put8(opcode);
    if (inside) {
      jumps_.push_back({stream_.size(), target});
      stream_.put32(0);
    } else {
      add(target, RefUse::branch);
    }
  }

  /// A 32-bit displacement that isn't relative to the instruction: an absolute address in code that
  /// is linked to a fixed one, an offset from the thread pointer, or a plain number.
  void visit_displacement() {
    const bool has_base = instruction_.has_base();
    const bool has_index = instruction_.has_index();
    const auto value = static_cast<std::uint64_t>(instruction_.displacement);
    if (instruction_.displacement < 0) {
      const bool on_thread_pointer = has_base && !has_index && is_thread_pointer();
      if (on_thread_pointer || (!has_base && !has_index && instruction_.fs_prefix)) {
        if (put_tls(value, instruction_.displacement_at) && instruction_.kind != Kind::lea) {
          note_access(code_.refs.back());
        }
      }
    } else if (!image_.is_relocatable() && !instruction_.fs_prefix && is_data_address(value)) {
      put_reference(value, memory_use(has_base || has_index), instruction_.displacement_at, 4);
    }
  }

  void visit_immediate() {
    const bool wide = instruction_.is_wide();
    const std::int64_t number = instruction_.immediate;
    const auto value = static_cast<std::uint64_t>(number);
    if (instruction_.kind == Kind::mov && wide && instruction_.immediate_size == 4 && number < -1) {
      const auto count = static_cast<std::uint64_t>(-number);
      if (code_.counts_from_end == 0 || count < code_.counts_from_end) {
        code_.counts_from_end = count;
      }
    }
    if (instruction_.kind == Kind::add && wide && number < 0 && instruction_.mod() == 3 &&
        is_thread_pointer()) {
      put_tls(value, instruction_.immediate_at);
      return;
    }
    if (image_.is_relocatable() || !is_pointer(value)) return;
    switch (instruction_.kind) {
      case Kind::mov:
      case Kind::push: break;
      case Kind::cmp:
        put_reference(value, RefUse::compare, instruction_.immediate_at,
                      instruction_.immediate_size);
        return;
      case Kind::add:
      case Kind::sub:
        if (!wide) return;
        break;
      default: return;
    }
    put_reference(value, RefUse::address, instruction_.immediate_at, instruction_.immediate_size);
  }

  bool put_tls(std::uint64_t thread_offset, std::uint8_t field) {
    const std::uint64_t offset = thread_offset + image_.tls_block_size();
    if (image_.tls_at(offset) == nullptr) return false;
    put_reference(offset, RefUse::tls, field, 4);
    return true;
  }

  /// Blanks `count` bytes from `field` on in the instruction and puts what stands for them.
  void put_reference(std::uint64_t target, RefUse use, std::uint8_t field, std::size_t count) {
    if (done_ != next_) {
      put_up_to(next_);
      start_ = stream_.size() - instruction_.length;
    }
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
    if (instruction_.kind == Kind::lea) return RefUse::address;
    return indexed ? RefUse::indexed : RefUse::access;
  }

  void note_access(CodeRef& ref) const {
    const MemoryAccess access = memory_access(bytes_.subspan(at_), instruction_);
    ref.size = access.size;
    ref.reads = access.reads;
    ref.writes = access.writes;
  }

  /// Follows `mov reg, fs:0`, which precedes offsets from the thread pointer in other instructions.
  void remember_thread_pointer() {
    if (instruction_.kind == Kind::mov && instruction_.displacement_size == 4 &&
        instruction_.displacement == 0 && instruction_.mod() == 0 && instruction_.rm() == 4) {
      thread_register_ = instruction_.reg();
      thread_instruction_ = code_.offsets.size();
    }
  }

  bool is_thread_pointer() const {
    return instruction_.base() == thread_register_ &&
           code_.offsets.size() - thread_instruction_ < 8;
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
  DecodedCode code_;
  base::DigestStream stream_;
  std::vector<Jump> jumps_;
  Instruction instruction_;
  std::size_t at_ = 0;     ///< where the instruction is
  std::size_t next_ = 0;   ///< where it ends
  std::size_t done_ = 0;   ///< what is before is in the stream, or left out
  std::size_t start_ = 0;  ///< of the instruction in the stream, if it has a reference
  unsigned thread_register_ = no_register;
  std::size_t thread_instruction_ = 0;
};

}  // namespace

DecodedCode decode_code(program::ElfImage& image, std::uint64_t begin, std::uint64_t end,
                        DecodedCode reused) {
  const auto bytes = image.bytes(begin, end - begin);
  return CodeReader(image, begin, bytes, std::move(reused)).read();
}

std::uint64_t plt_slot(const program::ElfImage& image, std::uint64_t address) {
  constexpr std::array<unsigned char, 4> endbr64 = {0xf3, 0x0f, 0x1e, 0xfa};
  const program::ElfSection* section = image.section_at(address);
  if (section == nullptr || section->kind != program::SectionKind::code) return 0;
  auto bytes = image.bytes(address, std::min<std::uint64_t>(16, section->end() - address));
  while (bytes.size() >= endbr64.size() &&
         std::memcmp(bytes.data(), endbr64.data(), endbr64.size()) == 0) {
    bytes = bytes.subspan(endbr64.size());
    address += endbr64.size();
  }
  Instruction instruction;
  if (!decode_instruction(bytes, instruction) || instruction.kind != Instruction::Kind::jump ||
      instruction.is_relative || !instruction.at_address()) {
    return 0;
  }
  return address + instruction.length + static_cast<std::uint64_t>(instruction.displacement);
}

}  // namespace hoist::detail::fingerprint
