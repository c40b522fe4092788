// SPDX-License-Identifier: BSD-3-Clause
#include "program/stack_trace.hpp"

#include <cxxabi.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <link.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <typeinfo>

#include "program/elf_image.hpp"

// Sanitizers that are linked into the program define __cxa_throw themselves.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define HOIST_NOTE_THROWS 0
#endif
#endif
#if !defined(HOIST_NOTE_THROWS) && defined(__GLIBC__) && defined(__GLIBCXX__)
#define HOIST_NOTE_THROWS 1
#endif

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

std::string demangled(const char* name) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(
      abi::__cxa_demangle(name, nullptr, nullptr, &status), &std::free);
  return status == 0 && text != nullptr ? text.get() : name;
}

/// The function around an address of code, by the symbol table of its file where there is one.
std::string name_of_code(const void* address) {
  Dl_info info{};
  void* extra = nullptr;
  if (::dladdr1(address, &info, &extra, RTLD_DL_LINKMAP) == 0) return "?";
  const auto* const module = static_cast<const link_map*>(extra);
  const bool is_program = module == nullptr || *module->l_name == '\0';
  const std::string path = is_program ? "/proc/self/exe" : module->l_name;
  const auto offset = reinterpret_cast<std::uintptr_t>(address) - (module ? module->l_addr : 0);
  std::string name;
  {
    static std::mutex mutex;
    static auto* const images = new std::map<std::string, std::unique_ptr<ElfImage>>;
    const std::lock_guard lock(mutex);
    const auto [at, is_new] = images->try_emplace(path);
    if (is_new) at->second = ElfImage::open(path);
    if (ElfImage* const image = at->second.get()) {
      if (const ElfSymbol* symbol = image->function_at(offset)) {
        name = std::string(image->name_of(*symbol));
      }
    }
  }
  if (name.empty() && info.dli_sname != nullptr) name = info.dli_sname;
  const std::string file = info.dli_fname != nullptr ? info.dli_fname : path;
  const std::string where = file.substr(file.rfind('/') + 1);
  if (!name.empty()) return demangled(name.c_str()) + " in " + where;
  char text[2 + 16 + 1];
  std::snprintf(text, sizeof text, "0x%zx", static_cast<std::size_t>(offset));
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

/// Called at every throw: must not throw, nor need memory.
void note_throw(const void* object, const std::type_info* type) noexcept {
  if (recording == 0) return;
  Throw& noted = throws[next_throw++ % kept_throws];
  noted.object = object;
  noted.type = type;
  noted.count = ::backtrace(noted.frames, max_frames);
}

std::string stack_of(const std::exception_ptr& error) {
  if (error == nullptr || recording == 0) return {};
  // All that an exception_ptr holds.
  const void* object = nullptr;
  static_assert(sizeof error == sizeof object);
  std::memcpy(&object, &error, sizeof object);
  // Latest first: where one was freed, the next may lie.
  for (unsigned back = 1; back <= kept_throws; ++back) {
    const Throw& noted = throws[(next_throw - back) % kept_throws];
    if (noted.object != object || noted.count == 0) continue;
#if defined(__GLIBCXX__)
    if (noted.type != error.__cxa_exception_type()) continue;
#endif
    std::string stack;
    // Before the first are note_throw and the throw itself; return addresses are behind their calls.
    for (int i = 2; i < noted.count; ++i) {
      const auto* const call = static_cast<const char*>(noted.frames[i]) - 1;
      const std::string name = name_of_code(call);
      // Compilers may leave the throw a frame more.
      if (stack.empty() && name.starts_with("__cxa_throw ")) continue;
      stack += (stack.empty() ? "  at " : "\n  at ") + name;
    }
    return stack;
  }
  return {};
}

}  // namespace hoist::detail::program

#if HOIST_NOTE_THROWS

// What every throw expression calls. This one comes first in the order in which symbols are looked up,
// and goes on to the runtime's own; weak, so that a program with the runtime linked in statically
// keeps that one, and goes without stacks. The name in C++ is another, since headers declare that one
// in several ways.
extern "C" __attribute__((weak, visibility("default"), noreturn)) void hoist_throw(
    void* object, std::type_info* type, void (*destroy)(void*)) __asm__("__cxa_throw");

void hoist_throw(void* object, std::type_info* type, void (*destroy)(void*)) {
  using ThrowFunction = void (*)(void*, std::type_info*, void (*)(void*));
  static const auto real = reinterpret_cast<ThrowFunction>(::dlsym(RTLD_NEXT, "__cxa_throw"));
  hoist::detail::program::note_throw(object, type);
  if (real != nullptr) real(object, type, destroy);
  std::abort();
}

#endif
