// SPDX-License-Identifier: BSD-3-Clause
#include "ipc/link.hpp"

#include <hoist/detail/decoder.hpp>
#include <hoist/error.hpp>

#include <bit>
#include <cstring>

#include "os/memory_file.hpp"
#include "os/socket.hpp"

namespace hoist::detail::ipc {

namespace {

/// What a frame of so many bytes, with its header, takes in the ring.
constexpr std::size_t padded(std::size_t bytes) {
  return (bytes + Ring::grain - 1) / Ring::grain * Ring::grain;
}
constexpr std::size_t frame_bytes(std::size_t content) {
  return padded(sizeof(FrameHeader) + content);
}

}  // namespace

Link::Link(const ChannelMemory& memory, int socket, bool worker_end) : socket_(socket) {
  RingWriter tasks_out(&memory.state().tasks, memory.tasks(), ring_bytes);
  RingReader tasks_in(&memory.state().tasks, memory.tasks(), ring_bytes);
  RingWriter results_out(&memory.state().results, memory.results(), ring_bytes);
  RingReader results_in(&memory.state().results, memory.results(), ring_bytes);
  out_ = worker_end ? results_out : tasks_out;
  in_ = worker_end ? tasks_in : results_in;
}

bool Link::send(Kind kind, std::span<const std::byte> content, int fd, Bell& own_bell,
                const std::function<bool()>& peer_is_gone) {
  const std::byte one{1};
  if (fd >= 0 && !os::send_message(socket_, {&one, 1}, {&fd, 1})) return false;
  if (frame_bytes(content.size()) <= max_frame) {
    std::byte* to = reserve(content.size(), own_bell, peer_is_gone);
    if (to == nullptr) return false;
    if (!content.empty()) std::memcpy(to, content.data(), content.size());
    commit(kind, content.size());
    return true;
  }
  const os::Fd file = os::memory_copy("hoist-frame", content);
  const int number = file.get();
  if (!os::send_message(socket_, {&one, 1}, {&number, 1})) return false;
  FieldWriter large;
  large.put(static_cast<std::uint32_t>(kind));
  large.put(std::uint32_t{0});
  large.put(static_cast<std::uint64_t>(content.size()));
  return send(Kind::large, large.bytes(), -1, own_bell, peer_is_gone);
}

std::byte* Link::reserve(std::size_t content_bytes, Bell& own_bell,
                         const std::function<bool()>& peer_is_gone) {
  const std::size_t bytes = frame_bytes(content_bytes);
  std::byte* to = out_.reserve(bytes);
  if (to == nullptr) {
    ring();
    bool gone = false;
    own_bell.wait(Clock::time_point::max(), [&] {
      to = out_.reserve(bytes);
      gone = to == nullptr && peer_is_gone();
      return to != nullptr || gone;
    });
    if (gone) return nullptr;
  }
  return to + sizeof(FrameHeader);
}

void Link::commit(Kind kind, std::size_t content_bytes) {
  const FrameHeader header{static_cast<std::uint32_t>(sizeof(FrameHeader) + content_bytes), kind};
  out_.commit(frame_bytes(content_bytes), std::bit_cast<std::uint64_t>(header));
}

std::span<std::byte> Link::behind_input() const {
  return {in_.record() + sizeof(FrameHeader), max_frame - sizeof(FrameHeader)};
}

std::size_t Link::receive(const FrameHandler& handle, std::size_t limit) {
  std::size_t count = 0;
  for (; count < limit && !in_.empty(); ++count) {
    const auto header = std::bit_cast<FrameHeader>(in_.peek());
    if (header.bytes < sizeof header || header.bytes > ring_bytes) Decoder::throw_damaged();
    const std::span content(in_.record() + sizeof header, header.bytes - sizeof header);
    // Released also where the handler throws: the frame must not come again.
    struct Release {
      RingReader& in;
      std::size_t bytes;
      ~Release() { in.release(bytes); }
    } const release{in_, padded(header.bytes)};
    if (header.kind == Kind::large) {
      FieldReader fields(content);
      const auto kind = static_cast<Kind>(fields.get<std::uint32_t>());
      fields.get<std::uint32_t>();
      const auto size = static_cast<std::size_t>(fields.get<std::uint64_t>());
      const os::Fd file = take_descriptor();
      if (os::regular_size(file.get()) != size) Decoder::throw_damaged();
      const os::Mapping mapping = os::map_memory(file.get(), size, os::MapAs::read_only);
      handle(kind, {mapping.data(), size});
    } else {
      handle(header.kind, content);
    }
  }
  return count;
}

os::Fd Link::take_descriptor() {
  std::vector<std::byte> bytes;
  std::vector<os::Fd> fds;
  if (!os::receive_message(socket_, 16, bytes, fds) || fds.size() != 1) {
    throw DamagedData("a descriptor that should have come with a message didn't");
  }
  return std::move(fds.front());
}

}  // namespace hoist::detail::ipc
