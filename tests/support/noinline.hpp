// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A function that is neither inlined nor cloned for constant arguments or for what variables hold.
#if defined(__clang__)
#define HOIST_TEST_NOINLINE __attribute__((noinline))
#else
#define HOIST_TEST_NOINLINE __attribute__((noipa))
#endif
