// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>

#include <system_error>

namespace hoist {

SystemError::SystemError(const std::string& what, int code)
    : Error(what + ": " + std::generic_category().message(code)), code_(code) {}

}  // namespace hoist
