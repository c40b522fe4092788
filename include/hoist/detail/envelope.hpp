// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <exception>
#include <span>
#include <string>
#include <vector>

namespace hoist::detail {

/// An exception as bytes: type, text, nested causes, and its state where the type is known (the
/// standard library's, hoist's, registered ones). Never throws but std::bad_alloc.
std::vector<std::byte> pack_error(const std::exception_ptr& error);

/// The exception as itself, or as RemoteError where its type isn't known here. Never throws:
/// damaged bytes give an exception that says so.
std::exception_ptr unpack_error(std::span<const std::byte> packed) noexcept;

/// An exception for somebody who reads standard error: type, text and stack, and its causes.
std::string error_report(const std::exception_ptr& error);

}  // namespace hoist::detail
