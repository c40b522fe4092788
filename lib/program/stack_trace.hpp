// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <exception>
#include <string>

namespace hoist::detail::program {

/// As long as one lives, the calling thread notes from where exceptions are thrown: some 10 us for
/// each. For processes that run tasks; a program's own exceptions cost what they always do.
class RecordThrows {
 public:
  RecordThrows();
  ~RecordThrows();
  RecordThrows(const RecordThrows&) = delete;
  RecordThrows& operator=(const RecordThrows&) = delete;
};

/// From where the exception was thrown, innermost first, a line per frame. Empty where this thread
/// didn't note it, or has noted several others since.
std::string stack_of(const std::exception_ptr& error);

}  // namespace hoist::detail::program
