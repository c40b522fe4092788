// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/log.hpp>

#include <string_view>

namespace hoist::detail::os {

/// Hands a message to the user's handler. False if there is none, or if it is being called by this
/// thread.
bool log_to_handler(LogLevel level, std::string_view source, std::string_view text) noexcept;

/// The same, and without a handler writes "[hoist] ..." to stderr.
void log(LogLevel level, std::string_view source, std::string_view text) noexcept;

}  // namespace hoist::detail::os
