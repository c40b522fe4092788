// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/message_queue.hpp>
#include <hoist/detail/schema.hpp>
#include <hoist/detail/travel.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <typeinfo>
#include <utility>
#include <vector>

namespace hoist::detail {

namespace sockets {
class SocketEnd;
}

/// What the two sides have to agree on.
struct MessageType {
  std::uint64_t tag = 0;  ///< not 0
  TransferMethod method{};
  const std::type_info* type = nullptr;
};

/// A tag of what has no schema: such values go only to processes of the same program.
std::uint64_t tag_of(const std::type_info& type);

template <class T>
MessageType message_type() {
  constexpr TransferMethod method = transfer_method_of<T>();
  if constexpr (method == TransferMethod::storable) {
    return {schema_of<T>().digest.low | 1, method, &typeid(T)};
  } else {
    return {tag_of(typeid(T)), method, &typeid(T)};
  }
}

/// A connection by a socket, whatever its messages are; see lib/sockets/socket_end.hpp. Copies
/// are the same connection.
class SocketStream {
 public:
  SocketStream() = default;
  explicit SocketStream(std::shared_ptr<sockets::SocketEnd> end) : end_(std::move(end)) {}

  bool poll_until(Deadline deadline) const;
  int watched_fd() const;

 protected:
  /// False at the deadline: nothing of the message will be received.
  bool put(const Encoder& encoder, const MessageType& type, Deadline deadline) const;
  /// Null at the deadline.
  std::unique_ptr<DecodeSource> get(const MessageType& type, Deadline deadline) const;
  template <class T>
  bool put_value(const T& message, Deadline deadline) const {
    MessageRoom room;
    detail::send<T>(room.encoder(), message);
    return put(room.encoder(), message_type<T>(), deadline);
  }
  template <class U>
  std::optional<U> get_value(Deadline deadline) const {
    const auto source = get(message_type<U>(), deadline);
    if (source == nullptr) return std::nullopt;
    Decoder decoder(*source);
    Received<U> received(decoder);
    decoder.finish();
    return std::optional<U>(std::move(received.get()));
  }
  void put_bytes(std::span<const std::byte> bytes, Deadline deadline) const;
  std::vector<std::byte> get_bytes(Deadline deadline) const;
  std::size_t get_bytes_into(std::span<std::byte> to, Deadline deadline) const;

  void leave() const;
  bool has_left() const;

  [[noreturn]] static void throw_full();
  [[noreturn]] static void throw_empty();

 private:
  sockets::SocketEnd& end() const;

  std::shared_ptr<sockets::SocketEnd> end_;
};

}  // namespace hoist::detail
