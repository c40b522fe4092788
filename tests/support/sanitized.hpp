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

/// ThreadSanitizer runs handlers of signals when it sees fit, in forked children perhaps never.
#if defined(HOIST_TEST_TSAN)
inline constexpr bool delays_signals = true;
#else
inline constexpr bool delays_signals = false;
#endif

/// Whether a sanitizer is built in: then code is slower, larger, and not quite what was written.
#if defined(HOIST_TEST_ASAN) || defined(HOIST_TEST_TSAN)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

}  // namespace support
