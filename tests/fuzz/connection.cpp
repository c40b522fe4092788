// SPDX-License-Identifier: BSD-3-Clause
//
// What comes through a socket: the first byte says whether the others are a handshake, to a
// listener (0) or a client (1), damage to one of two sides with the same key (2), or messages.
#include <hoist/array.hpp>
#include <hoist/error.hpp>
#include <hoist/listener.hpp>

#include <algorithm>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sockets/authentication.hpp"
#include "sockets/message.hpp"

namespace {

using namespace hoist::detail;
using namespace hoist::detail::sockets;
using Input = std::span<const std::byte>;
using Value = std::tuple<std::map<std::string, std::vector<hoist::Array<int>>>,
                         std::vector<std::string>, hoist::Array<double>>;

const AuthenticationKey& key() {
  static const AuthenticationKey secret(std::string("key"));
  return secret;
}

/// Gives `to` as much as it has room for; what is left.
template <class To>
Input feed(To& to, Input input) {
  const auto room = to.room();
  const std::size_t bytes = std::min(room.size(), input.size());
  std::ranges::copy(input.first(bytes), room.begin());
  to.take(bytes);
  return input.subspan(bytes);
}

void shake_hands_with(Role role, Input input) {
  Handshake handshake(role, key(), false, "fuzzer");
  while (!input.empty() && !handshake.room().empty()) input = feed(handshake, input);
  if (handshake.room().empty()) __builtin_trap();  // it was convinced without the key
}

/// The input is added to what the two sides say to each other.
void damage_handshake(Input input) {
  Handshake sides[2] = {{Role::listener, key(), false, "fuzzer"},
                        {Role::client, key(), false, "fuzzer"}};
  bool damaged = false;
  for (int turn = 0; turn < 6; ++turn) {
    Handshake& from = sides[turn % 2];
    std::vector<std::byte> said(from.output().begin(), from.output().end());
    from.sent(said.size());
    for (std::byte& byte : said) {
      if (input.empty()) break;
      byte ^= input.front();
      damaged = damaged || input.front() != std::byte{0};
      input = input.subspan(1);
    }
    for (Input left = said; !left.empty();) left = feed(sides[1 - turn % 2], left);
  }
  if (damaged && sides[0].is_done() && sides[1].is_done()) __builtin_trap();
}

void receive(Input input, std::size_t step) {
  const MessageRules rules{std::size_t{1} << 22, false, false};
  const MessageType type = message_type<Value>();
  while (!input.empty()) {
    IncomingMessage message(rules);
    // No input guesses the type.
    std::vector<std::byte> stream(input.begin(), input.end());
    constexpr std::size_t type_at = sizeof(ChunkHeader) + offsetof(MessageHeader, type);
    if (stream.size() >= type_at + sizeof type.tag && stream[type_at] != std::byte{0}) {
      std::memcpy(stream.data() + type_at, &type.tag, sizeof type.tag);
    }
    Input left = stream;
    while (!left.empty() && !message.is_complete() && !message.is_withdrawn()) {
      const Input some = left.first(std::min(left.size(), step));
      left = left.subspan(some.size() - feed(message, some).size());
    }
    input = input.last(left.size());
    if (message.is_withdrawn()) continue;
    if (!message.is_complete()) return;
    if (message.type() == 0) {
      (void)message.open_bytes();
      continue;
    }
    message.open(type);
    Decoder decoder(message);
    const Received<Value> received(decoder);
    decoder.finish();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Input input = std::as_bytes(std::span(data, size)).subspan(1);
  try {
    switch (data[0]) {
      case 0: shake_hands_with(Role::listener, input); break;
      case 1: shake_hands_with(Role::client, input); break;
      case 2: damage_handshake(input); break;
      default: receive(input, std::size_t{1} << (data[0] % 8));
    }
  } catch (const hoist::Error&) {
  }
  return 0;
}
