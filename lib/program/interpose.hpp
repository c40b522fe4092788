// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <typeinfo>

namespace hoist::detail::program {

// What hoist's own __libc_start_main and __cxa_throw (interpose.cpp) call before they go on to
// those of the C and C++ run time. There, the references are weak: to a program that uses neither
// workers nor stack traces, a static libhoist.a adds nothing but these two functions. So whoever
// needs a hook has to refer to something else in the source file that defines it.

using ProgramMain = int (*)(int, char**, char**);

/// The function to run as main. Called before static objects of the program are made, when
/// `environ` may not be set yet. Defined in workers/entry.cpp.
extern "C" ProgramMain hoist_choose_main(ProgramMain main, char** environment);

/// Called at every throw; needs no memory. Defined in program/stack_trace.cpp.
extern "C" void hoist_note_throw(const void* object, const std::type_info* type) noexcept;

}  // namespace hoist::detail::program
