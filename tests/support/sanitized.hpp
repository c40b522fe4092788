// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// g++ defines macros for its sanitizers, clang has features.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HOIST_TEST_ASAN 1
#elif __has_feature(thread_sanitizer)
#define HOIST_TEST_TSAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define HOIST_TEST_ASAN 1
#elif defined(__SANITIZE_THREAD__)
#define HOIST_TEST_TSAN 1
#endif

namespace support {

/// ThreadSanitizer delays signal handlers, in forked children perhaps for ever.
#if defined(HOIST_TEST_TSAN)
inline constexpr bool delays_signals = true;
#else
inline constexpr bool delays_signals = false;
#endif

/// Whether a sanitizer is active: code is then slower, larger, and laid out differently.
#if defined(HOIST_TEST_ASAN) || defined(HOIST_TEST_TSAN)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

}  // namespace support
