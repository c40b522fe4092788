// SPDX-License-Identifier: BSD-3-Clause
#include "program/interpose.hpp"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>

namespace hoist::detail::program {

extern "C" __attribute__((weak)) ProgramMain hoist_choose_main(ProgramMain, char**);
extern "C" __attribute__((weak)) void hoist_note_throw(const void*, const std::type_info*) noexcept;

// Both functions come before the run time's own in the order in which symbols are looked up, and
// both are weak: a program with a run time linked in statically keeps the run time's.

#if defined(__GLIBC__)

extern "C" __attribute__((weak, visibility("default"))) int __libc_start_main(
    ProgramMain main, int argc, char** argv, void (*init)(), void (*fini)(), void (*rtld_fini)(),
    void* stack_end) {
  using StartMain = decltype(&__libc_start_main);
  const auto real = reinterpret_cast<StartMain>(::dlsym(RTLD_NEXT, "__libc_start_main"));
  if (real == nullptr) ::_exit(127);
  // The environment lies behind the arguments.
  if (&hoist_choose_main != nullptr) main = hoist_choose_main(main, argv + argc + 1);
  return real(main, argc, argv, init, fini, rtld_fini, stack_end);
}

#endif

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

#if HOIST_NOTE_THROWS

// The name in C++ is another one, since headers declare __cxa_throw in several ways.
extern "C" __attribute__((weak, visibility("default"), noreturn)) void hoist_throw(
    void* object, std::type_info* type, void (*destroy)(void*)) __asm__("__cxa_throw");

void hoist_throw(void* object, std::type_info* type, void (*destroy)(void*)) {
  static const auto real =
      reinterpret_cast<decltype(&hoist_throw)>(::dlsym(RTLD_NEXT, "__cxa_throw"));
  if (&hoist_note_throw != nullptr) hoist_note_throw(object, type);
  if (real != nullptr) real(object, type, destroy);
  std::abort();
}

#endif

}  // namespace hoist::detail::program
