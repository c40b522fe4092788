// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>

#include <system_error>
#include <utility>

namespace hoist {

SystemError::SystemError(const std::string& what, int code)
    : Error(what + ": " + std::generic_category().message(code)), code_(code) {}

RemoteError::RemoteError(std::string type_name, std::string text, std::string stack)
    : Error(type_name + ": " + text + (stack.empty() ? "" : "\n" + stack)),
      type_name_(std::move(type_name)),
      text_(std::move(text)),
      stack_(std::move(stack)) {}

}  // namespace hoist
