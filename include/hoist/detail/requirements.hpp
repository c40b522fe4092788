// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What hoist needs of the compiler. Every public header includes this before anything else, and a
// header that is missing ends the compilation, so that no other errors follow.

#if __cplusplus < 202002L
#error "hoist needs C++20: compile with -std=c++20 or newer"
#include <hoist/needs_cxx20>
#elif !defined(__cpp_rtti)
#error "hoist needs the types of objects at run time: compile without -fno-rtti"
#include <hoist/needs_rtti>
#elif !defined(__cpp_exceptions)
#error "hoist reports errors by exceptions: compile without -fno-exceptions"
#include <hoist/needs_exceptions>
#endif
