// SPDX-License-Identifier: BSD-3-Clause
#include "program/stack_trace.hpp"

#include <execinfo.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <typeinfo>

#include "program/interpose.hpp"
#include "program/module_map.hpp"
#include "program/symbol_names.hpp"

namespace hoist::detail::program {

namespace {

constexpr int max_frames = 48;
/// An exception, its causes, and what was caught in between.
constexpr unsigned kept_throws = 8;

struct Throw {
  const void* object = nullptr;
  const std::type_info* type = nullptr;
  int count = 0;
  void* frames[max_frames];
};

thread_local unsigned recording = 0;
thread_local unsigned next_throw = 0;
thread_local Throw throws[kept_throws];

/// The function around an address of code, by the symbol table of its file where there is one.
std::string name_of_code(const Location& location) {
  if (location.module == nullptr) return "?";
  Module& module = *location.module;
  const std::string where =
      module.is_main ? ::program_invocation_short_name : std::string(module.file_name());
  std::string_view name;
  if (ElfImage* const image = module.image()) {
    if (const ElfSymbol* const symbol = image->function_at(location.address)) {
      name = image->name_of(*symbol);
    } else if (const auto exported = image->exported_at(location.address)) {
      name = exported->name;
    }
  }
  if (!name.empty()) return demangled(name) + " in " + where;
  char text[2 + 16 + 1];
  std::snprintf(text, sizeof text, "0x%zx", static_cast<std::size_t>(location.address));
  return std::string(text) + " in " + where;
}

}  // namespace

RecordThrows::RecordThrows() {
  // The first call loads a library, which is better done now than when memory has run out.
  static const int ready = [] {
    void* frame = nullptr;
    return ::backtrace(&frame, 1);
  }();
  static_cast<void>(ready);
  ++recording;
}

RecordThrows::~RecordThrows() { --recording; }

std::string stack_of(const std::exception_ptr& error) {
  if (error == nullptr || recording == 0) return {};
  // All that an exception_ptr holds.
  const void* object = nullptr;
  static_assert(sizeof error == sizeof object);
  std::memcpy(static_cast<void*>(&object), static_cast<const void*>(&error), sizeof object);
  // Latest first: where one was freed, the next may lie.
  for (unsigned back = 1; back <= kept_throws; ++back) {
    const Throw& noted = throws[(next_throw - back) % kept_throws];
    if (noted.object != object || noted.count == 0) continue;
#if defined(__GLIBCXX__)
    if (noted.type != error.__cxa_exception_type()) continue;
#endif
    std::string stack;
    const auto modules = loaded_modules();
    const auto lock = lock_images();
    // Before the first are hoist_note_throw and the throw itself. Return addresses are behind their
    // calls.
    for (int i = 2; i < noted.count; ++i) {
      const auto* const call = static_cast<const char*>(noted.frames[i]) - 1;
      const std::string name = name_of_code(modules->locate(call));
      // Compilers may leave the throw a frame more.
      if (stack.empty() && name.starts_with("__cxa_throw ")) continue;
      stack += (stack.empty() ? "  at " : "\n  at ") + name;
    }
    return stack;
  }
  return {};
}

void hoist_note_throw(const void* object, const std::type_info* type) noexcept {
  if (recording == 0) return;
  Throw& noted = throws[next_throw++ % kept_throws];
  noted.object = object;
  noted.type = type;
  noted.count = ::backtrace(noted.frames, max_frames);
}

}  // namespace hoist::detail::program
