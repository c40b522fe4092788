// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>

#include <algorithm>
#include <system_error>
#include <utility>

namespace hoist {

namespace {

std::string in_two_lines(const std::string& type_name, const std::string& text,
                         const std::string& stack) {
  std::string what = type_name + ": " + text;
  std::replace(what.begin(), what.end(), '\n', ' ');
  if (!stack.empty()) what += "\n" + stack.substr(0, stack.find('\n'));
  return what;
}

}  // namespace

SystemError::SystemError(const std::string& what, int code)
    : Error(what + ": " + std::generic_category().message(code)), code_(code) {}

OwnerDied::OwnerDied(int pid, std::chrono::system_clock::time_point when)
    : Error("process " + std::to_string(pid) +
            ", or a thread of it, ended while it held the lock: what the lock protects may be half "
            "written; put it in "
            "order under recover()"),
      pid_(pid),
      when_(when) {}

BufferTooShort::BufferTooShort(std::vector<std::byte> message)
    : Error("a message of " + std::to_string(message.size()) +
            " bytes is longer than the memory given for it"),
      message_(std::move(message)) {}

RemoteError::RemoteError(std::string type_name, std::string text, std::string stack)
    : Error(in_two_lines(type_name, text, stack)),
      type_name_(std::move(type_name)),
      text_(std::move(text)),
      stack_(std::move(stack)) {}

}  // namespace hoist
