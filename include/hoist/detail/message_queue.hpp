// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/deadline.hpp>
#include <hoist/detail/decoder.hpp>
#include <hoist/detail/encoder.hpp>
#include <hoist/detail/shared_handle.hpp>
#include <hoist/detail/travel.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

// Messages between processes, through shared memory: what queues and pipes are made of.

namespace hoist::detail {

namespace multiprocess {
class Holding;
struct MessageContent;
struct QueueState;
}  // namespace multiprocess

/// Room for one message on its way in or out; the thread keeps it for later messages.
class MessageRoom {
 public:
  MessageRoom();
  MessageRoom(const MessageRoom&) = delete;
  MessageRoom& operator=(const MessageRoom&) = delete;
  ~MessageRoom();

  Encoder& encoder() noexcept;
  /// Of a message that was received.
  DecodeSource& source() noexcept;
  multiprocess::MessageContent& content() noexcept { return *content_; }

 private:
  std::unique_ptr<multiprocess::MessageContent> content_;
};

struct QueueLimits {
  std::size_t max_items = 0;  ///< 0: as many as the bytes allow
  std::size_t max_bytes = 0;
};

/// Those at the other end, if it is known who they are.
class Peers {
 public:
  virtual ~Peers() = default;
  /// Whether none is left.
  virtual bool are_gone() const = 0;
  /// Looks for dead ones.
  virtual void look() const = 0;
};

/// A queue of messages; see lib/multiprocess/message_ring.hpp.
class MessageQueue : public SharedHandle {
 public:
  /// What a queue is to know besides its messages.
  struct Knows {
    bool tasks = false;    ///< which of them are done
    bool holders = false;  ///< who has it, so that a wait which nobody can end is an EndOfStream
  };
  explicit MessageQueue(const QueueLimits& limits, Knows knows = {false, false});
  MessageQueue(SharedBlock block, std::shared_ptr<Storage> socket);

  /// Sends what the room's encoder has. False if there is no room in the queue until the deadline.
  /// Throws Closed; EndOfStream if there are no peers.
  bool put(MessageRoom& room, Deadline deadline, const Peers* peers = nullptr) const;
  bool put(MessageRoom& room, Encoder& encoder, Deadline deadline, const Peers* peers) const;
  /// Whether what put() has refused is so large that it goes through only while it is received.
  bool is_outgrown_by(MessageRoom& room) const;
  /// Receives a message. False if none comes until the deadline. Throws Closed or EndOfStream where
  /// none will come.
  bool get(MessageRoom& room, Deadline deadline, const Peers* peers = nullptr) const;
  /// The same for mere bytes; `place_for(size)` returns where they go.
  using PlaceFor = std::function<std::byte*(std::size_t)>;
  bool put_bytes(std::span<const std::byte> bytes, Deadline deadline, const Peers* peers) const;
  bool get_bytes(const PlaceFor& place_for, Deadline deadline, const Peers* peers) const;
  /// Whether something can be received, or will never be; waits until the deadline.
  bool poll(Deadline deadline, const Peers* peers = nullptr) const;

  /// As far as can be told while others go on.
  std::size_t size() const;
  bool is_empty() const;
  bool is_full() const;
  void close() const;
  bool is_closed() const;
  /// Wakes those who wait, as their peers may be gone.
  void wake() const;
  /// A descriptor that is readable when something can be received. It may be at other times as
  /// well; settle() then makes it what it should be.
  int fileno() const;
  void settle() const;

  /// For queues that count tasks. Throws BadArgument if there were fewer items than that.
  void task_done() const;
  /// False at the deadline. Throws OwnerDied if a process has died with tasks that were not done.
  bool join(Deadline deadline) const;

  const std::shared_ptr<Storage>& socket() const noexcept { return socket_; }
  /// It is being sent. Whether note_arrived() is to be called by who gets it.
  bool note_sent(bool to_new_process) const;
  void note_arrived() const;

 private:
  std::shared_ptr<Storage> socket_;  // for descriptors of what is sent
  std::shared_ptr<multiprocess::Holding> holding_;
};

template <class T>
concept QueueHandle = std::derived_from<T, SharedHandle> && std::derived_from<T, MessageQueue>;

template <QueueHandle T>
struct HandleParts<T> {
  template <class Ar>
  static void send(Ar& ar, const T& queue) {
    SharedBlock::send(ar, queue.block());
    if constexpr (!Ar::hashing) {
      ar.descriptor(queue.socket());
      ar.scalar(queue.note_sent(ar.is_for_new_process()));
    }
  }
  static T receive(Decoder& decoder) {
    SharedBlock block = SharedBlock::receive(decoder);
    const MessageQueue queue(std::move(block), decoder.array_block(0, true));
    std::uint8_t is_awaited = 0;
    decoder.scalar(is_awaited);
    if (is_awaited != 0) queue.note_arrived();
    return T(queue);
  }
};

/// Whether values of T can be sent to another process and be values there, without anything that
/// would have to be kept for them.
template <class T>
constexpr bool is_message() {
  if constexpr (!std::is_same_v<T, std::decay_t<T>> || !std::is_move_constructible_v<T>) {
    return false;
  } else {
    constexpr TransferMethod method = transfer_method_of<T>();
    return method == TransferMethod::storable || method == TransferMethod::handle ||
           method == TransferMethod::code || method == TransferMethod::nothing ||
           (method == TransferMethod::raw && !std::is_pointer_v<T>);
  }
}

template <class T>
bool put_value(const MessageQueue& queue, const T& value, Deadline deadline,
               const Peers* peers = nullptr) {
  MessageRoom room;
  send<T>(room.encoder(), value);
  return queue.put(room, deadline, peers);
}

/// Nothing if none comes.
template <class T>
std::optional<T> get_value(const MessageQueue& queue, Deadline deadline,
                           const Peers* peers = nullptr) {
  MessageRoom room;
  if (!queue.get(room, deadline, peers)) return std::nullopt;
  Decoder decoder(room.source());
  Received<T> received(decoder);
  decoder.finish();
  return std::optional<T>(std::move(received.get()));
}

}  // namespace hoist::detail
