// SPDX-License-Identifier: BSD-3-Clause
#include "remote/wire.hpp"

#include <doctest/doctest.h>
#include <hoist/error.hpp>

#include <cstring>
#include <string>
#include <vector>

#include "os/mapping.hpp"

using namespace hoist;
using namespace hoist::detail;
using namespace hoist::detail::remote;

namespace {

/// Keeps what is sent.
class Recorder final : public Transport {
 public:
  void send(Peer, std::vector<std::byte> message) override {
    longest = std::max(longest, message.size());
    messages.push_back(std::move(message));
  }
  std::size_t unsent(Peer) const override { return blocked ? 3 * max_message : 0; }
  bool poll(Events&) override { return false; }
  void drop(Peer) override {}
  void close() override {}
  std::chrono::microseconds round_trip() const override { return {}; }

  std::vector<std::vector<std::byte>> messages;
  std::size_t longest = 0;
  bool blocked = false;
};

std::vector<std::byte> bytes_of(std::size_t n, unsigned seed) {
  std::vector<std::byte> bytes(n);
  for (std::size_t i = 0; i < n; ++i) bytes[i] = static_cast<std::byte>((i * 7 + seed) ^ (i >> 8));
  return bytes;
}

struct Got {
  ipc::Kind kind{};
  std::uint32_t worker = 0;
  std::vector<std::byte> content;
};

std::vector<Got> read(const std::vector<std::vector<std::byte>>& messages) {
  Inbox inbox;
  std::vector<Got> all;
  for (const auto& message : messages) {
    inbox.add(message, [&](ipc::Kind kind, std::uint32_t worker, auto content) {
      all.push_back({kind, worker, {content.begin(), content.end()}});
    });
  }
  return all;
}

}  // namespace

TEST_CASE("frames of all lengths arrive as they were put, however messages are cut") {
  Recorder transport;
  Outbox outbox(transport, 1);
  std::vector<std::vector<std::byte>> sent;
  for (const std::size_t n : {0UL, 1UL, 15UL, 16UL, 17UL, 1000UL, 65'535UL, 65'536UL, 300'000UL,
                              max_message, 3 * max_message + 5, 3UL}) {
    sent.push_back(bytes_of(n, static_cast<unsigned>(n)));
    outbox.put(ipc::Kind::tasks, static_cast<std::uint32_t>(sent.size()), sent.back());
  }
  outbox.pump();
  CHECK(outbox.empty());
  CHECK(transport.longest <= max_message);

  std::vector<std::byte> stream;
  for (const auto& message : transport.messages) {
    stream.insert(stream.end(), message.begin(), message.end());
  }
  for (const std::size_t piece : {1UL, 7UL, 16UL, 4096UL, 1'000'003UL}) {
    if (piece < 16 && stream.size() > 1'000'000) continue;
    std::vector<std::vector<std::byte>> cut;
    for (std::size_t at = 0; at < stream.size(); at += piece) {
      const auto begin = stream.begin() + static_cast<std::ptrdiff_t>(at);
      cut.emplace_back(begin,
                       begin + static_cast<std::ptrdiff_t>(std::min(piece, stream.size() - at)));
    }
    const auto got = read(cut);
    REQUIRE(got.size() == sent.size());
    for (std::size_t i = 0; i < sent.size(); ++i) {
      CHECK(got[i].worker == i + 1);
      CHECK(got[i].content == sent[i]);
    }
  }
}

TEST_CASE("a frame whose header is cut at each place") {
  std::vector<std::byte> stream;
  append_frame(stream, ipc::Kind::results, 3, bytes_of(5, 1));
  append_frame(stream, ipc::Kind::error, 4, {});
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    const auto middle = stream.begin() + static_cast<std::ptrdiff_t>(cut);
    const auto got = read({{stream.begin(), middle}, {middle, stream.end()}});
    REQUIRE(got.size() == 2);
    CHECK(got[0].content == bytes_of(5, 1));
    CHECK(got[1].worker == 4);
  }
}

TEST_CASE("a length that no frame has is refused before memory is taken for it") {
  std::vector<std::byte> stream;
  append_frame(stream, ipc::Kind::results, 3, {});
  const std::uint64_t huge = ~std::uint64_t{0} / 2;
  std::memcpy(stream.data(), &huge, sizeof huge);
  CHECK_THROWS_AS(read({stream}), DamagedData);
}

TEST_CASE("blobs go in pieces between frames, no more at a time than the transport takes") {
  Recorder transport;
  Outbox outbox(transport, 1);
  const auto content = bytes_of(2 * max_message + 100, 9);
  auto storage = allocate_storage(content.size(), Fill::none);
  std::memcpy(storage->data(), content.data(), content.size());
  const Digest name{.low = 1, .high = 2};
  transport.blocked = true;
  outbox.put_blob(name, storage);
  outbox.put(ipc::Kind::tasks, 1, bytes_of(10, 1));
  outbox.pump();
  CHECK(transport.messages.empty());
  transport.blocked = false;
  outbox.pump();
  CHECK(transport.longest <= max_message);

  BlobStore blobs;
  const auto got = read(transport.messages);
  REQUIRE(got.size() == 4);
  CHECK(got.back().kind == ipc::Kind::tasks);
  CHECK_THROWS_AS(blobs.find(name), DamagedData);
  blobs.add(got[0].content);
  CHECK_THROWS_AS(blobs.find(name), DamagedData);
  CHECK_THROWS_AS(blobs.add(got[0].content), DamagedData);
  CHECK_THROWS_AS(blobs.add(got[2].content), DamagedData);
  blobs.add(got[1].content);
  blobs.add(got[2].content);
  const BlobStore::Blob& blob = blobs.find(name);
  REQUIRE(blob.bytes == content.size());
  const auto mapped = os::map_memory(blob.fd.get(), content.size(), os::MapAs::read_only);
  CHECK(std::memcmp(mapped.data(), content.data(), content.size()) == 0);
  blobs.forget(name);
  CHECK_THROWS_AS(blobs.find(name), DamagedData);
}
