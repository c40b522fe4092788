// SPDX-License-Identifier: BSD-3-Clause
#include "ipc/channel.hpp"

#include <hoist/error.hpp>

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>

#include "os/fork_hook.hpp"
#include "os/memory_file.hpp"

namespace hoist::detail::ipc {

namespace {

constexpr std::size_t state_bytes = 4096;
static_assert(sizeof(ChannelState) <= state_bytes);
// What is mapped begins at a page, of which AArch64 has some of 64 KiB.
static_assert(ring_bytes % (std::size_t{64} << 10) == 0);
constexpr std::size_t tasks_at = 0;
constexpr std::size_t results_at = ring_bytes;
constexpr std::size_t state_at = 2 * ring_bytes;
constexpr std::size_t channel_bytes = state_at + state_bytes;

/// A ring, mapped twice in a row by `map`, which maps it once at a fixed address.
template <class Map>
os::Mapping map_twice(const Map& map) {
  void* space = ::mmap(nullptr, 2 * ring_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (space == MAP_FAILED) throw SystemError("can't map a worker's channel", errno);
  os::Mapping mapping(space, 2 * ring_bytes);
  for (std::size_t i = 0; i < 2; ++i) {
    if (map(mapping.data() + i * ring_bytes) == MAP_FAILED) {
      throw SystemError("can't map a worker's channel", errno);
    }
  }
  return mapping;
}

os::Mapping map_twice(int fd, std::size_t offset) {
  return map_twice([&](void* at) {
    return ::mmap(at, ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
                  static_cast<off_t>(offset));
  });
}

}  // namespace

ChannelMemory::ChannelMemory(int fd)
    : state_(os::map_memory(fd, state_bytes, os::MapAs::shared, state_at)),
      tasks_(map_twice(fd, tasks_at)),
      results_(map_twice(fd, results_at)) {}

void FieldWriter::grow(std::size_t n) { bytes_.resize(std::max(2 * bytes_.size(), size_ + n)); }

std::span<std::byte> ChannelMemory::beside_state() const {
  return {state_.data() + sizeof(ChannelState), state_bytes - sizeof(ChannelState)};
}

ChannelMemory ChannelMemory::create(os::Fd& fd) {
  fd = os::memory_file("hoist-channel", channel_bytes);
  ChannelMemory memory(fd.get());
  ::new (static_cast<void*>(memory.state_.data())) ChannelState;
  return memory;
}

ChannelMemory ChannelMemory::create_for_child() {
  static const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t ring_at = std::max(state_bytes, page);
  const std::size_t bytes = ring_at + ring_bytes;
  void* const shared =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) throw SystemError("can't map a worker's channel", errno);
  ChannelMemory memory;
  memory.state_ = os::Mapping(shared, bytes);
  ::new (static_cast<void*>(memory.state_.data())) ChannelState;
  std::byte* const ring = memory.state_.data() + ring_at;
  try {
    // Of a length of 0, shared memory is not moved but mapped once more.
    memory.results_ = map_twice(
        [&](void* at) { return ::mremap(ring, 0, ring_bytes, MREMAP_MAYMOVE | MREMAP_FIXED, at); });
    return memory;
  } catch (const SystemError&) {  // emulators of Linux may lack that
    os::Fd fd;
    return create(fd);
  }
}

ChannelMemory ChannelMemory::open(int fd) {
  if (os::regular_size(fd) != channel_bytes) {
    throw DamagedData("a worker's channel has another size than this version of hoist gives it");
  }
  return ChannelMemory(fd);
}

namespace {

/// A forked child that has workers of its own must not share its parent's bells.
constinit os::PerProcess<BellBoard> board_of_process;

}  // namespace

BellBoard& BellBoard::here() {
  return board_of_process.here([] {
    auto* made = new BellBoard;
    made->fd_ = os::memory_file("hoist-bells", count * sizeof(Bell));
    made->memory_ = os::map_memory(made->fd_.get(), count * sizeof(Bell), os::MapAs::shared);
    for (std::size_t i = 0; i < count; ++i) {
      ::new (static_cast<void*>(made->memory_.data() + i * sizeof(Bell))) Bell;
    }
    return made;
  });
}

BellBoard BellBoard::open(int fd) {
  BellBoard board;
  board.memory_ = os::map_memory(fd, count * sizeof(Bell), os::MapAs::shared);
  return board;
}

}  // namespace hoist::detail::ipc
