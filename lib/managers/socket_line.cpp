// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>
#include <hoist/listener.hpp>

#include "managers/line.hpp"

namespace hoist::detail::managers {

namespace {

/// Requests and replies tell by themselves what they are.
const MessageType exchanged{
    .tag = 0x686f6973742d6d67, .method = TransferMethod::storable, .type = &typeid(Line)};

}  // namespace

void SocketLine::send(MessageRoom&, Encoder& encoder) {
  try {
    put(encoder, exchanged, Deadline::max());
  } catch (const EndOfStream&) {
    over_ = true;
    throw;
  }
}

DecodeSource& SocketLine::receive(MessageRoom&) {
  try {
    last_ = get(exchanged, Deadline::max());
  } catch (const EndOfStream&) {
    over_ = true;
    throw;
  }
  return *last_;
}

std::shared_ptr<Line> connect_by_socket(const ManagerLink& link, std::uint64_t client) {
  try {
    auto line = std::make_shared<SocketLine>(connect_stream(
        link.address(), {.authkey = link.authkey(), .timeout = std::chrono::seconds(5)}));
    MessageRoom room;
    room.encoder().scalar(client);
    line->send(room, room.encoder());
    Decoder decoder(line->receive(room));
    std::uint64_t number = 0;
    decoder.scalar(number);
    if (link.number() != 0 && number != link.number()) {
      throw ManagerDied("another manager listens at the address now");
    }
    return line;
  } catch (const SystemError& error) {
    throw ManagerDied(std::string("the server of the manager has ended: ") + error.what());
  } catch (const EndOfStream&) {
    throw ManagerDied("the server of the manager has ended");
  }
}

ManagerLink link_to(const std::string& address, const std::optional<std::string>& authkey,
                    std::chrono::milliseconds timeout) {
  SocketLine line(connect_stream(address, {.authkey = authkey, .timeout = timeout}));
  MessageRoom room;
  room.encoder().scalar(std::uint64_t{0});  // no client: asks for the number
  line.send(room, room.encoder());
  Decoder decoder(line.receive(room));
  std::uint64_t number = 0;
  decoder.scalar(number);
  return {address, authkey, number};
}

}  // namespace hoist::detail::managers
