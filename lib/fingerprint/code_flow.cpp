// SPDX-License-Identifier: BSD-3-Clause
#include "fingerprint/code_flow.hpp"

#include <set>
#include <tuple>

#if defined(__x86_64__)
#include <Zydis/Zydis.h>
#endif

namespace hoist::detail::fingerprint {

#if defined(__x86_64__)

namespace {

/// How many instructions are looked at before the answer is "in doubt".
constexpr std::size_t step_limit = 4000;

struct Decoded {
  ZydisDecodedInstruction instruction;
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
  std::uint64_t next = 0;
};

/// Where a value is: in a register (64-bit name), or in a stack slot (base register and distance).
struct Place {
  ZydisRegister base = ZYDIS_REGISTER_NONE;
  std::int64_t distance = 0;
  bool in_memory = false;

  auto tie() const { return std::tie(base, distance, in_memory); }
  friend bool operator==(const Place& a, const Place& b) { return a.tie() == b.tie(); }
  friend bool operator<(const Place& a, const Place& b) { return a.tie() < b.tie(); }
};

ZydisRegister whole(ZydisRegister name) {
  return ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, name);
}

bool is_argument(ZydisRegister name) {
  switch (name) {
    case ZYDIS_REGISTER_RDI:
    case ZYDIS_REGISTER_RSI:
    case ZYDIS_REGISTER_RDX:
    case ZYDIS_REGISTER_RCX:
    case ZYDIS_REGISTER_R8:
    case ZYDIS_REGISTER_R9: return true;
    default: return false;
  }
}

bool survives_calls(ZydisRegister name) {
  switch (name) {
    case ZYDIS_REGISTER_RBX:
    case ZYDIS_REGISTER_RBP:
    case ZYDIS_REGISTER_R12:
    case ZYDIS_REGISTER_R13:
    case ZYDIS_REGISTER_R14:
    case ZYDIS_REGISTER_R15: return true;
    default: return false;
  }
}

/// The stack slot a memory operand names, if it is one.
Place slot_of(const ZydisDecodedOperand& operand) {
  const auto& mem = operand.mem;
  if ((mem.base != ZYDIS_REGISTER_RBP && mem.base != ZYDIS_REGISTER_RSP) ||
      mem.index != ZYDIS_REGISTER_NONE) {
    return {};
  }
  return {mem.base, mem.disp.value, true};
}

class Tracer {
 public:
  Tracer(const program::ElfImage& image, const DecodedCode& code) : image_(image), code_(code) {
    ZydisDecoderInit(&decoder_, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
  }

  bool decode(std::size_t index, Decoded& decoded) const {
    if (index >= code_.offsets.size()) return false;
    const std::uint64_t address = code_.begin + code_.offsets[index];
    const auto bytes = image_.bytes(address, code_.end - address);
    if (bytes.empty() ||
        !ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder_, bytes.data(), bytes.size(),
                                             &decoded.instruction, decoded.operands))) {
      return false;
    }
    decoded.next = address + decoded.instruction.length;
    return true;
  }

  /// Whether nothing but comparisons happens to the value that an instruction puts somewhere.
  bool only_compared(std::size_t index) {
    Decoded decoded;
    if (!decode(index, decoded)) return false;
    const ZydisDecodedOperand& destination = decoded.operands[0];
    Place place;
    if (destination.type == ZYDIS_OPERAND_TYPE_REGISTER) {
      place = {whole(destination.reg.value), 0, false};
    } else if (destination.type == ZYDIS_OPERAND_TYPE_MEMORY) {
      place = slot_of(destination);
    }
    if (place.base == ZYDIS_REGISTER_NONE) return false;
    return trace(index + 1, place);
  }

  /// The same, but what the value leads to may be read, and values computed from it count like it.
  /// It may be passed to functions of the image that do no more, in as many nested calls.
  bool only_read(std::size_t index, program::ElfImage& image, int nested_calls) {
    reading_ = true;
    callees_ = &image;
    nested_calls_ = nested_calls;
    return only_compared(index);
  }

 private:
  bool trace(std::size_t index, const Place& place) {
    push(index, place);
    while (!pending_.empty()) {
      const auto [at, where] = pending_.back();
      pending_.pop_back();
      if (seen_.size() > step_limit || !step(at, where)) return false;
    }
    return true;
  }

  /// Whether a function that is called or jumped to only reads through the argument in a register.
  /// If it may return an address that it got so, `returned` is set.
  bool callee_reads(const Decoded& call, ZydisRegister argument, bool& returned) {
    if (nested_calls_ == 0 || call.instruction.raw.imm[0].is_relative == 0) return false;
    const std::uint64_t target =
        call.next + static_cast<std::uint64_t>(call.instruction.raw.imm[0].value.s);
    const program::ElfSymbol* function = callees_->function_at(target);
    if (function == nullptr || function->address != target || function->size == 0) return false;
    const DecodedCode code = decode_code(*callees_, target, function->end());
    Tracer callee(image_, code);
    callee.reading_ = true;
    callee.may_return_ = true;
    callee.callees_ = callees_;
    callee.nested_calls_ = nested_calls_ - 1;
    if (!callee.trace(0, {argument, 0, false})) return false;
    returned = callee.returned_;
    return true;
  }

  enum class Effect { none, overwrites, used };

  void push(std::size_t index, const Place& place) {
    if (seen_.insert({index, place}).second) pending_.emplace_back(index, place);
  }

  /// What one instruction does to the value; schedules what comes after. False if it uses it.
  bool step(std::size_t index, const Place& place) {
    Decoded decoded;
    if (!decode(index, decoded)) return false;
    const auto category = decoded.instruction.meta.category;
    if (category == ZYDIS_CATEGORY_RET) {
      if (may_return_ && !place.in_memory && place.base == ZYDIS_REGISTER_RAX) {
        returned_ = true;
        return true;
      }
      return place.base != ZYDIS_REGISTER_RAX && place.base != ZYDIS_REGISTER_RDX;
    }
    if (category == ZYDIS_CATEGORY_CALL && !place.in_memory) {
      if (is_argument(place.base)) {
        bool returned = false;
        if (!callee_reads(decoded, place.base, returned)) return false;
        if (returned) push(index + 1, {ZYDIS_REGISTER_RAX, 0, false});
        return true;
      }
      // A call of what a variable points to reads the variable.
      const bool reads = reading_ && decoded.operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY;
      if (mentions(decoded, place) && !reads) return false;
      if (survives_calls(place.base)) push(index + 1, place);
      return true;
    }
    switch (effect(index, decoded, place)) {
      case Effect::used: return false;
      case Effect::overwrites: return true;
      case Effect::none: break;
    }
    const bool relative = decoded.instruction.raw.imm[0].is_relative != 0;
    const bool jumps = category == ZYDIS_CATEGORY_UNCOND_BR;
    if (relative && (jumps || category == ZYDIS_CATEGORY_COND_BR)) {
      const std::uint64_t target =
          decoded.next + static_cast<std::uint64_t>(decoded.instruction.raw.imm[0].value.s);
      if (code_.contains(target)) {
        push(code_.index_of(target), place);
      } else if (!place.in_memory && is_argument(place.base)) {
        bool returned = false;
        if (!callee_reads(decoded, place.base, returned)) return false;
        if (returned && !may_return_) return false;
        returned_ = returned_ || returned;
      } else if (place.in_memory && !reading_) {
        return false;
      }
    } else if (jumps) {
      return false;
    }
    // Past the end comes nothing: the last instruction doesn't return (a call of abort, say).
    if (!jumps && index + 1 < code_.offsets.size()) push(index + 1, place);
    return true;
  }

  Effect effect(std::size_t index, const Decoded& decoded, const Place& place) {
    const auto mnemonic = decoded.instruction.mnemonic;
    const ZydisDecodedOperand* operands = decoded.operands;
    const bool compares = mnemonic == ZYDIS_MNEMONIC_CMP || mnemonic == ZYDIS_MNEMONIC_TEST;
    const bool calls = mnemonic == ZYDIS_MNEMONIC_CALL;
    if (mnemonic == ZYDIS_MNEMONIC_MOV && reads(operands[1], place)) {
      // A copy: follow it, and the original.
      if (operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER && operands[0].size == 64) {
        push(index + 1, {whole(operands[0].reg.value), 0, false});
      } else if (const Place slot = slot_of(operands[0]);
                 operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY &&
                 slot.base != ZYDIS_REGISTER_NONE) {
        push(index + 1, slot);
      } else {
        return Effect::used;
      }
      return Effect::none;
    }
    if (mnemonic == ZYDIS_MNEMONIC_LEA && place.in_memory && slot_of(operands[1]) == place) {
      return Effect::used;
    }
    Effect result = Effect::none;
    for (unsigned i = 0; i < decoded.instruction.operand_count; ++i) {
      const ZydisDecodedOperand& operand = operands[i];
      // What push, pop, call and ret do to memory is at another distance by then.
      if (operand.visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN &&
          operand.type == ZYDIS_OPERAND_TYPE_MEMORY && operand.mem.base == ZYDIS_REGISTER_RSP) {
        continue;
      }
      if (place.in_memory && place.base == ZYDIS_REGISTER_RSP &&
          operand.type == ZYDIS_OPERAND_TYPE_REGISTER && operand.reg.value == ZYDIS_REGISTER_RSP &&
          !calls && (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0) {
        // The slot gets another distance, or dies with the frame.
        const bool frees = mnemonic == ZYDIS_MNEMONIC_ADD || mnemonic == ZYDIS_MNEMONIC_POP;
        return frees ? Effect::overwrites : Effect::used;
      }
      if (uses_in_address(operand, place)) {
        if (!reading_ || (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0 || calls) {
          return Effect::used;
        }
        if (mnemonic == ZYDIS_MNEMONIC_LEA)
          push(index + 1, {whole(operands[0].reg.value), 0, false});
        continue;
      }
      if (!reads(operand, place)) continue;
      if ((operand.actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0 && !compares) {
        const bool computes =
            operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
            (operands[0].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0 &&
            ZydisRegisterGetClass(whole(operands[0].reg.value)) == ZYDIS_REGCLASS_GPR64 &&
            mnemonic != ZYDIS_MNEMONIC_XCHG;
        const bool in_place = place.in_memory && operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY &&
                              slot_of(operands[0]) == place;
        if (!reading_ || (!computes && !in_place)) return Effect::used;
        if (computes) push(index + 1, {whole(operands[0].reg.value), 0, false});
        continue;
      }
      const bool whole_register = operand.type == ZYDIS_OPERAND_TYPE_MEMORY || operand.size >= 32;
      if ((operand.actions & ZYDIS_OPERAND_ACTION_WRITE) != 0 && whole_register) {
        result = Effect::overwrites;
      }
    }
    return result;
  }

  /// Whether the operand is the place itself.
  static bool reads(const ZydisDecodedOperand& operand, const Place& place) {
    if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY)
      return place.in_memory && slot_of(operand) == place;
    return operand.type == ZYDIS_OPERAND_TYPE_REGISTER && !place.in_memory &&
           whole(operand.reg.value) == place.base;
  }

  static bool uses_in_address(const ZydisDecodedOperand& operand, const Place& place) {
    return operand.type == ZYDIS_OPERAND_TYPE_MEMORY && !place.in_memory &&
           (whole(operand.mem.base) == place.base || whole(operand.mem.index) == place.base);
  }

  static bool mentions(const Decoded& decoded, const Place& place) {
    for (unsigned i = 0; i < decoded.instruction.operand_count_visible; ++i) {
      if (reads(decoded.operands[i], place) || uses_in_address(decoded.operands[i], place)) {
        return true;
      }
    }
    return false;
  }

  const program::ElfImage& image_;
  const DecodedCode& code_;
  ZydisDecoder decoder_;
  bool reading_ = false;
  bool may_return_ = false;
  bool returned_ = false;
  program::ElfImage* callees_ = nullptr;
  int nested_calls_ = 0;
  std::set<std::pair<std::size_t, Place>> seen_;
  std::vector<std::pair<std::size_t, Place>> pending_;
};

}  // namespace

bool is_only_compared(const program::ElfImage& image, const DecodedCode& code, const CodeRef& ref) {
  if (ref.use == RefUse::compare) return true;
  if (ref.use != RefUse::address) return false;
  return Tracer(image, code).only_compared(ref.instruction);
}

bool is_only_read(program::ElfImage& image, const DecodedCode& code, const CodeRef& ref,
                  bool follow_calls) {
  return Tracer(image, code).only_read(ref.instruction, image, follow_calls ? 4 : 0);
}

bool is_relative_table(const program::ElfImage& image, const DecodedCode& code,
                       const CodeRef& ref) {
  if (ref.use != RefUse::address) return false;
  const Tracer tracer(image, code);
  Decoded decoded;
  if (!tracer.decode(ref.instruction, decoded) ||
      decoded.operands[0].type != ZYDIS_OPERAND_TYPE_REGISTER) {
    return false;
  }
  const ZydisRegister table = whole(decoded.operands[0].reg.value);
  ZydisRegister entry = ZYDIS_REGISTER_NONE;
  for (std::size_t i = ref.instruction + 1; i < ref.instruction + step_limit; ++i) {
    if (!tracer.decode(i, decoded)) return false;
    const ZydisDecodedOperand* operands = decoded.operands;
    const auto mnemonic = decoded.instruction.mnemonic;
    const bool to_register = operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER;
    if (mnemonic == ZYDIS_MNEMONIC_ADD && to_register && entry != ZYDIS_REGISTER_NONE &&
        operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER) {
      const ZydisRegister a = whole(operands[0].reg.value);
      const ZydisRegister b = whole(operands[1].reg.value);
      if ((a == table && b == entry) || (a == entry && b == table)) return true;
    }
    if (mnemonic == ZYDIS_MNEMONIC_MOVSXD && to_register &&
        operands[1].type == ZYDIS_OPERAND_TYPE_MEMORY && whole(operands[1].mem.base) == table &&
        operands[1].mem.index != ZYDIS_REGISTER_NONE && operands[1].mem.scale == 4) {
      entry = whole(operands[0].reg.value);
      if (entry == table) return false;
      continue;
    }
    for (unsigned k = 0; k < decoded.instruction.operand_count; ++k) {
      if (operands[k].type != ZYDIS_OPERAND_TYPE_REGISTER ||
          (operands[k].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) == 0) {
        continue;
      }
      if (whole(operands[k].reg.value) == table) return false;
      if (whole(operands[k].reg.value) == entry) entry = ZYDIS_REGISTER_NONE;
    }
  }
  return false;
}

#else

bool is_only_compared(const program::ElfImage&, const DecodedCode&, const CodeRef&) {
  return false;
}
bool is_only_read(program::ElfImage&, const DecodedCode&, const CodeRef&, bool) { return false; }
bool is_relative_table(const program::ElfImage&, const DecodedCode&, const CodeRef&) {
  return false;
}

#endif

}  // namespace hoist::detail::fingerprint
