// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/message_queue.hpp>
#include <hoist/detail/schema.hpp>
#include <hoist/detail/transfer.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <typeinfo>
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
  void put_bytes(std::span<const std::byte> bytes) const;
  std::vector<std::byte> get_bytes() const;
  std::size_t get_bytes_into(std::span<std::byte> to) const;

  void leave() const;
  bool has_left() const;

  [[noreturn]] static void throw_full();
  [[noreturn]] static void throw_empty();

 private:
  sockets::SocketEnd& end() const;

  std::shared_ptr<sockets::SocketEnd> end_;
};

}  // namespace hoist::detail
