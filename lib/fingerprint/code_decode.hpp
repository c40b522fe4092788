// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/digest_stream.hpp"
#include "program/elf_image.hpp"

namespace hoist::detail::fingerprint {

/// How an instruction uses an address it contains.
enum class RefUse : std::uint8_t {
  branch,   ///< calls or jumps to it
  access,   ///< reads or writes `size` bytes there
  indexed,  ///< reads or writes at a distance from it that is known at run time
  address,  ///< takes it into a register (or memory)
  compare,  ///< compares with it
  tls,      ///< an offset in the module's thread-local block
};

/// A reference from an instruction to an address (link-time) outside the function, or to data.
struct CodeRef {
  std::uint64_t target = 0;
  std::uint32_t instruction = 0;  ///< number of the instruction, see DecodedCode::offsets
  std::uint32_t size = 0;         ///< of an access, also of one to a thread-local variable
  RefUse use = RefUse::branch;
  bool reads = false;   ///< access, indexed, tls
  bool writes = false;  ///< likewise
};

/// A function's instructions with everything removed that depends on where things lie.
struct DecodedCode {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  /// Digest of the instructions: padding left out, jumps inside as instruction numbers in one form
  /// for short and near ones, references blanked.
  Digest digest;
  /// Where each instruction (padding left out) starts, relative to begin.
  std::vector<std::uint32_t> offsets;
  std::vector<CodeRef> refs;
  bool jumps_indirectly = false;
  /// Calls through a register or through memory other than a slot whose address is in the code.
  bool calls_by_pointer = false;
  /// The smallest n for which -n is put into a 64-bit register, 0 for none: the function may count
  /// up to zero from the end of an array that has n bytes or more.
  std::uint64_t counts_from_end = 0;

  bool contains(std::uint64_t address) const { return address >= begin && address < end; }
  /// Number of the first instruction at or after an address.
  std::uint32_t index_of(std::uint64_t address) const;
  /// Whether an instruction starts at address (padding counts as the instruction after it).
  bool starts_instruction(std::uint64_t address) const;
};

/// Decodes [begin, end) of the image; what can't be decoded is taken as plain bytes up to the end.
/// Empty code if the range isn't in the file. `reused` is code no longer needed, for its memory.
DecodedCode decode_code(program::ElfImage& image, std::uint64_t begin, std::uint64_t end,
                        DecodedCode reused = {});

/// If there is a PLT entry at address: the GOT slot it jumps through; otherwise 0.
std::uint64_t plt_slot(const program::ElfImage& image, std::uint64_t address);

}  // namespace hoist::detail::fingerprint
