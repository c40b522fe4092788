// SPDX-License-Identifier: BSD-3-Clause
#include "base/random_name.hpp"

#include <hoist/error.hpp>

#include <sys/random.h>
#include <sys/types.h>

#include <cerrno>

namespace hoist::detail::base {

std::string random_name(std::size_t digits) {
  std::string name(digits, '\0');
  if (::getrandom(name.data(), digits, 0) != static_cast<ssize_t>(digits)) {
    throw SystemError("can't get random bytes", errno);
  }
  for (char& c : name) c = "0123456789abcdef"[c & 15];
  return name;
}

}  // namespace hoist::detail::base
