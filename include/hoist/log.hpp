// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <functional>
#include <string_view>

namespace hoist {

/// How much a record matters.
enum class LogLevel : unsigned char {
  debug,    ///< hits and stored entries
  info,     ///< computed calls, progress of loops
  warning,  ///< what costs time or may surprise, as results that couldn't be stored
  error,    ///< what nobody else is told of, as exceptions of callbacks
};

/// One message. The texts are valid during the call of the handler.
struct LogRecord {
  LogLevel level = LogLevel::info;
  /// The part of the library: "memory", "parallel", "futures", "processes" or "workers".
  std::string_view source;
  /// Without a line break at its end.
  std::string_view text;
};

/// Takes messages; see `set_log_handler`.
using LogHandler = std::function<void(const LogRecord&)>;

/// Has all messages of the library in this process handed to `handler` instead of written to
/// stderr (and with ParallelOptions::verbose >= 50 to stdout), each a line. An empty one puts that
/// back. Returns the previous handler. Which messages there are, `verbose` of MemoryOptions,
/// CacheOptions and ParallelOptions says. Progress bars are no messages.
///
/// The handler is called by the thread that has something to say, by several at once; a handler
/// that was replaced may still be in a call. What it throws is ignored, and what the library says
/// during the handler's own call is written to stderr. Forked children inherit it. Spawned workers
/// begin without one: what they write to stderr comes to this process's stderr, as all that they
/// print, unless their `initializer` sets a handler. Thread-safe.
LogHandler set_log_handler(LogHandler handler);

}  // namespace hoist
