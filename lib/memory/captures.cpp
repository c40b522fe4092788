// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/code_address.hpp>
#include <hoist/detail/memo.hpp>
#include <hoist/error.hpp>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

namespace hoist::detail {

std::string build_of(const void* code) {
  return code == nullptr ? std::string() : module_name(code_address_of(code).module).build_id;
}

void check_build(const std::string& build, const void* code) {
  if (build_of(code) == build) return;
  throw CannotTravel(
      "the cached function comes from another build of the program, whose functions lie elsewhere: "
      "dump the Memory instead, and call its cache() here");
}

/// Looks the captures' words up among the mapped ranges of this process: a number that happens to
/// be an address is refused too, which is rare and harmless beside a key made of an address.
void check_captures(const void* object, std::size_t bytes) {
  std::vector<std::uintptr_t> words;
  for (std::size_t at = 0; at + sizeof(std::uintptr_t) <= bytes; at += sizeof(std::uintptr_t)) {
    std::uintptr_t word = 0;
    std::memcpy(&word, static_cast<const char*>(object) + at, sizeof word);
    if (word >= 4096) words.push_back(word);
  }
  if (words.empty()) return;
  std::ifstream maps("/proc/self/maps");
  std::string line;
  while (std::getline(maps, line)) {
    char* end = nullptr;
    const auto from = static_cast<std::uintptr_t>(std::strtoull(line.c_str(), &end, 16));
    if (end == nullptr || *end != '-') continue;
    const auto to = static_cast<std::uintptr_t>(std::strtoull(end + 1, nullptr, 16));
    for (const auto word : words) {
      if (word >= from && word < to) {
        throw BadArgument(
            "Memory::cache: the lambda captures a pointer or a reference, which can't be part of a "
            "key: capture only plain numbers; what it leads to, pass it as an argument");
      }
    }
  }
}

}  // namespace hoist::detail
