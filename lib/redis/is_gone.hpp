// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/types.h>

#include <cerrno>

namespace hoist::detail::redis {

/// Whether an error of a socket says that the other side is no more.
inline bool is_gone(int error) {
  return error == EPIPE || error == ECONNRESET || error == ENOTCONN;
}

/// A system call, again where a signal has interrupted it.
template <class Call>
ssize_t repeated(const Call& call) {
  ssize_t done = 0;
  do done = call();
  while (done < 0 && errno == EINTR);
  return done;
}

}  // namespace hoist::detail::redis
