// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <fcntl.h>
#include <hoist/detail/storage.hpp>

#include <cstring>
#include <span>

#include "os/memory_file.hpp"

using hoist::detail::allocate_storage;
using hoist::detail::Fill;

// backing() of one thread closed the descriptor that another thread was about to duplicate.
TEST_CASE("a descriptor behind storage stays open while somebody holds it") {
  constexpr std::size_t bytes = std::size_t{8} << 20;
  const auto storage = allocate_storage(bytes, Fill::zero);
  std::memset(storage->data(), 1, bytes);
  const auto copy = hoist::detail::os::memory_copy("test", std::span(storage->data(), bytes));
  REQUIRE(storage->move_to_copy(copy.get()));
  auto backing = storage->backing();
  REQUIRE(backing.fd >= 0);
  storage->data()[5000] = std::byte{2};
  CHECK(storage->backing().fd < 0);
  CHECK(::fcntl(backing.fd, F_GETFD) >= 0);
  const int fd = std::exchange(backing, {}).fd;
  CHECK(::fcntl(fd, F_GETFD) < 0);
}
