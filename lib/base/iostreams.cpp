// SPDX-License-Identifier: BSD-3-Clause
#include "base/iostreams.hpp"

#include <hoist/error.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <istream>
#include <ostream>

namespace hoist::detail::base {

void OstreamSink::write(std::span<const std::byte> bytes) {
  errno = 0;
  out_.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  if (!out_) throw SystemError("can't write to the stream", errno != 0 ? errno : EIO);
}

std::size_t IstreamSource::fetch(std::byte* to, std::size_t n) {
  if (n == 0) return 0;
  // Reads the buffer directly: if the caller has enabled exceptions, the stream would throw at its
  // end, which is no error here.
  if (!in_.good()) return 0;
  errno = 0;
  std::streamsize got = 0;
  try {
    got = in_.rdbuf()->sgetn(reinterpret_cast<char*>(to), static_cast<std::streamsize>(n));
  } catch (const std::ios_base::failure&) {
    throw SystemError("can't read the stream", errno != 0 ? errno : EIO);
  }
  return static_cast<std::size_t>(std::max<std::streamsize>(got, 0));
}

}  // namespace hoist::detail::base
