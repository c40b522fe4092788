// SPDX-License-Identifier: BSD-3-Clause
#include "fingerprint/instruction.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

using namespace hoist::detail::fingerprint;

#if defined(__x86_64__)

namespace {

constexpr std::size_t longest = 16;

struct Bytes {
  std::byte data[longest];
  std::size_t size = 0;

  explicit Bytes(std::uint8_t fill) { std::memset(data, fill, sizeof data); }
  void put(unsigned value) { data[size++] = static_cast<std::byte>(value); }
  std::span<const std::byte> first(std::size_t count) const { return {data, count}; }

  std::string text() const {
    constexpr char digits[] = "0123456789abcdef";
    std::string result;
    for (const std::byte byte : data) {
      result += digits[std::to_integer<unsigned>(byte) >> 4];
      result += digits[std::to_integer<unsigned>(byte) & 15];
    }
    return result;
  }
};

/// Calls use(bytes) for each combination of a prefix, REX, opcode, ModRM and SIB; what follows is
/// `fill`.
template <class Use>
void for_each_encoding(std::uint8_t fill, Use use) {
  for (const unsigned prefix : {0x00, 0x66, 0xf2, 0xf3}) {
    for (const unsigned rex : {0x00, 0x40, 0x41, 0x42, 0x44, 0x48, 0x4f}) {
      for (unsigned opcode = 0; opcode < 0x200; ++opcode) {
        Bytes start(fill);
        if (prefix != 0) start.put(prefix);
        if (rex != 0) start.put(rex);
        if (opcode >= 0x100) start.put(0x0f);
        start.put(opcode & 0xff);
        for (unsigned modrm = 0; modrm < 0x100; ++modrm) {
          Bytes bytes = start;
          bytes.put(modrm);
          if ((modrm & 7) != 4 || modrm >= 0xc0) {
            use(bytes);
            continue;
          }
          for (unsigned sib = 0; sib < 0x100; sib += rex == 0 ? 1 : 5) {
            Bytes with_sib = bytes;
            with_sib.put(sib);
            use(with_sib);
          }
        }
      }
    }
  }
}

}  // namespace

TEST_CASE("the table of common instructions says what the general decoder says") {
  int common = 0;
  std::vector<std::string> wrong;
  for (const unsigned fill : {0x12u, 0x85u}) {
    for_each_encoding(static_cast<std::uint8_t>(fill), [&](const Bytes& bytes) {
      Instruction by_table;
      if (!decode_common(bytes.first(longest), by_table)) return;
      ++common;
      Instruction by_decoder;
      const bool is_one = decode_general(bytes.first(longest), by_decoder);
      if (!is_one || by_table != by_decoder) wrong.push_back(bytes.text());
    });
  }
  CHECK(common > 1'000'000);
  CHECK(wrong.size() == 0);
  if (!wrong.empty()) MESSAGE(wrong.front());
}

TEST_CASE("an instruction that is cut short is none") {
  int cut = 0;
  for_each_encoding(0x12, [&](const Bytes& bytes) {
    Instruction instruction;
    if (bytes.data[0] != std::byte{0x48} || !decode_common(bytes.first(longest), instruction)) {
      return;
    }
    for (std::size_t size = 0; size < instruction.length; ++size) {
      Instruction ignored;
      if (decode_instruction(bytes.first(size), ignored)) ++cut;
    }
    Instruction whole;
    if (!decode_common(bytes.first(instruction.length), whole) || whole != instruction) ++cut;
  });
  CHECK(cut == 0);
}

TEST_CASE("what instructions do to their memory operand") {
  const auto access_of = [](std::initializer_list<unsigned> code) {
    Bytes bytes(0);
    for (const unsigned value : code) bytes.put(value);
    Instruction instruction;
    REQUIRE(decode_instruction(bytes.first(longest), instruction));
    const MemoryAccess access = memory_access(bytes.first(longest), instruction);
    return std::to_string(access.size) + (access.reads ? "r" : "") + (access.writes ? "w" : "");
  };
  CHECK(access_of({0x8b, 0x05}) == "4r");               // mov eax, [rip]
  CHECK(access_of({0x48, 0x89, 0x05}) == "8w");         // mov [rip], rax
  CHECK(access_of({0x66, 0x89, 0x05}) == "2w");         // mov [rip], ax
  CHECK(access_of({0x00, 0x05}) == "1rw");              // add [rip], al
  CHECK(access_of({0x39, 0x05}) == "4r");               // cmp [rip], eax
  CHECK(access_of({0x0f, 0xb7, 0x05}) == "2r");         // movzx eax, word [rip]
  CHECK(access_of({0xf2, 0x0f, 0x10, 0x05}) == "8r");   // movsd xmm0, [rip]
  CHECK(access_of({0xf3, 0x0f, 0x11, 0x05}) == "4w");   // movss [rip], xmm0
  CHECK(access_of({0xf0, 0x0f, 0xc1, 0x05}) == "4rw");  // lock xadd [rip], eax
  CHECK(access_of({0xc5, 0xfc, 0x28, 0x05}) == "32r");  // vmovaps ymm0, [rip]
}

#else

TEST_CASE("the code of other processors is not decoded") {
  Instruction instruction;
  const std::byte nothing[16] = {};
  CHECK_FALSE(can_decode());
  CHECK_FALSE(decode_general(nothing, instruction));
}

#endif
