// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/message_queue.hpp>
#include <hoist/detail/shared_handle.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace hoist::detail {

namespace multiprocess {
class PipeEnd;
}

/// What the ends of pipes have in common, whatever their messages are. Its own memory tells which
/// processes have which end.
class ConnectionHandle : public SharedHandle {
 public:
  static std::pair<ConnectionHandle, ConnectionHandle> make(bool duplex, std::size_t max_bytes);

  /// Of no pipe: what needs one throws BadArgument.
  ConnectionHandle() noexcept : SharedHandle(SharedBlock(BlockTag(), nullptr)) {}
  /// End 0 or 1. A queue is empty where the end doesn't send, or receive.
  ConnectionHandle(SharedBlock block, std::uint32_t side, std::optional<MessageQueue> out,
                   std::optional<MessageQueue> in);

  std::uint32_t side() const noexcept { return side_; }
  const std::optional<MessageQueue>& sends() const noexcept { return out_; }
  const std::optional<MessageQueue>& receives() const noexcept { return in_; }
  /// The queue that it receives from. Throws BadArgument where it is closed, or only sends.
  const MessageQueue& receiving() const { return in(); }
  bool has_pipe() const noexcept { return end_ != nullptr; }
  bool poll_until(Deadline deadline) const;
  int watched_fd() const;
  /// Another process gets this end, which it may not know of yet.
  void note_sent() const;

 protected:
  template <class T>
  bool put_value(const T& message, Deadline deadline) const {
    return detail::put_value<T>(out(), message, deadline, &peers());
  }
  template <class U>
  std::optional<U> get_value(Deadline deadline) const {
    return detail::get_value<U>(in(), deadline, &peers());
  }

  // These throw BadArgument where this end is closed, or is not for that.
  const MessageQueue& out() const;
  const MessageQueue& in() const;
  const Peers& peers() const;

  void put_bytes(std::span<const std::byte> bytes, Deadline deadline) const;
  std::vector<std::byte> get_bytes(Deadline deadline) const;
  std::size_t get_bytes_into(std::span<std::byte> to, Deadline deadline) const;

  void leave() const;
  bool has_left() const;

  [[noreturn]] static void throw_full();
  [[noreturn]] static void throw_empty();

 private:
  multiprocess::PipeEnd& end() const;
  void use() const;

  std::uint32_t side_ = 0;
  std::optional<MessageQueue> out_;
  std::optional<MessageQueue> in_;
  std::shared_ptr<multiprocess::PipeEnd> end_;
};

template <class T>
concept PipeHandle = std::derived_from<T, SharedHandle> && std::derived_from<T, ConnectionHandle>;

template <PipeHandle T>
struct HandleParts<T> {
  using Queue = HandleParts<MessageQueue>;

  template <class Ar>
  static void send(Ar& ar, const T& connection) {
    if constexpr (Ar::hashing) {
      SharedBlock::send(ar, connection.block());  // which throws
    } else {
      ar.scalar(connection.has_pipe());
      if (!connection.has_pipe()) return;
      connection.note_sent();
      SharedBlock::send(ar, connection.block());
      ar.scalar(connection.side());
      for (const auto* const queue : {&connection.sends(), &connection.receives()}) {
        ar.scalar(queue->has_value());
        if (queue->has_value()) Queue::send(ar, **queue);
      }
    }
  }
  static T receive(Decoder& decoder) {
    std::uint8_t has_pipe = 0;
    decoder.scalar(has_pipe);
    if (has_pipe == 0) return T();
    SharedBlock block = SharedBlock::receive(decoder);
    std::uint32_t side = 0;
    decoder.scalar(side);
    if (side > 1) Decoder::throw_damaged();
    std::optional<MessageQueue> queues[2];
    for (auto& queue : queues) {
      std::uint8_t has_value = 0;
      decoder.scalar(has_value);
      if (has_value != 0) queue = Queue::receive(decoder);
    }
    return T(ConnectionHandle(std::move(block), side, std::move(queues[0]), std::move(queues[1])));
  }
};

}  // namespace hoist::detail
