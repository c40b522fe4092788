// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>
#include <thread>
#include <vector>

#include "ipc/link.hpp"

using namespace hoist::detail;

namespace {

/// No byte is 0, so that any of them could be mistaken for the beginning of a frame.
void fill(std::vector<std::byte>& content, std::size_t bytes, std::uint32_t number) {
  content.resize(bytes);
  for (std::size_t i = 0; i < bytes; ++i) content[i] = std::byte(1 + (number * 31 + i * 7) % 255);
}

/// Mostly sizes of one or two cache lines, some up to the largest that fits.
std::size_t random_size(std::mt19937& random) {
  const std::size_t most = random() % 16 == 0 ? ipc::max_frame - sizeof(ipc::FrameHeader) : 200;
  return random() % (most + 1);
}

}  // namespace

TEST_CASE("frames of all sizes arrive whole and in order, many times round the ring") {
  const ipc::ChannelMemory memory = ipc::ChannelMemory::create_for_child();
  ipc::Bell unused;
  ipc::Link worker(memory, -1, true);
  ipc::Link parent(memory, -1, false);
  worker.set_peer_bell(&unused);
  parent.set_peer_bell(&memory.state().worker_bell);
  constexpr std::uint32_t frames = 20000;
  bool all_sent = true;
  std::thread sender([&] {
    std::mt19937 random(1);
    std::vector<std::byte> content;
    for (std::uint32_t i = 0; i < frames; ++i) {
      fill(content, random_size(random), i);
      all_sent = worker.send(ipc::Kind::results, content, -1, memory.state().worker_bell, [] {
        return false;
      }) && all_sent;
    }
  });
  std::mt19937 random(1);
  std::vector<std::byte> expected;
  std::uint32_t received = 0;
  std::uint32_t wrong = 0;
  while (received < frames) {
    parent.receive(
        [&](ipc::Kind kind, std::span<const std::byte> content) {
          fill(expected, random_size(random), received++);
          wrong += kind != ipc::Kind::results || !std::ranges::equal(content, expected);
        },
        // Now and then the ring becomes full and is emptied at once.
        received % 1000 == 0 ? 1000 : 1);
    parent.ring();
    if (received % 5000 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  sender.join();
  CHECK(all_sent);
  CHECK(wrong == 0);
  CHECK(parent.received() == worker.sent());
  CHECK_FALSE(parent.has_input());
}

TEST_CASE("a ring that is full takes nothing, and all again once it has been read") {
  const ipc::ChannelMemory memory = ipc::ChannelMemory::create_for_child();
  ipc::Bell unused;
  ipc::Link worker(memory, -1, true);
  ipc::Link parent(memory, -1, false);
  worker.set_peer_bell(&unused);
  parent.set_peer_bell(&unused);
  const std::vector<std::byte> content(56, std::byte{0xff});
  for (int round = 0; round < 3; ++round) {
    std::size_t sent = 0;
    for (; worker.has_room(64); ++sent) {
      worker.send(ipc::Kind::results, content, -1, memory.state().worker_bell,
                  [] { return false; });
    }
    CHECK(sent == ipc::ring_bytes / 64 - 1);
    std::size_t right = 0;
    const std::size_t received = parent.receive(
        [&](ipc::Kind, std::span<const std::byte> got) {
          right += std::ranges::equal(got, content);
        },
        static_cast<std::size_t>(-1));
    CHECK(received == sent);
    CHECK(right == sent);
  }
}
