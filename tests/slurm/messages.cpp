// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <sys/resource.h>
#include <hoist/error.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "slurm/file_transport.hpp"
#include "support/temp_dir.hpp"

// Messages by files: no cluster is needed for these.

using hoist::detail::remote::Peer;
using hoist::detail::slurm::FileTransport;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

/// What one end is told.
struct End final : hoist::detail::remote::Transport::Events {
  explicit End(FileTransport& its) : transport(its) {}
  void joined(Peer peer, const std::string& name) override { names[peer] = name; }
  void received(Peer peer, std::span<const std::byte> message) override {
    messages[peer].emplace_back(message.begin(), message.end());
  }
  void lost(Peer peer, const std::string& why) override { ends[peer] = why; }

  bool await(const std::function<bool()>& condition) {
    for (int i = 0; i < 20'000 && !condition(); ++i) {
      if (!transport.poll(*this)) std::this_thread::sleep_for(1ms);
    }
    return condition();
  }

  FileTransport& transport;
  std::map<Peer, std::string> names;
  std::map<Peer, std::vector<std::vector<std::byte>>> messages;
  std::map<Peer, std::string> ends;
};

std::vector<std::byte> bytes(std::size_t n, int value) { return {n, std::byte(value)}; }

/// A master and a host that know each other.
struct Pair {
  Pair() {
    REQUIRE(master.await([&] { return master.names.size() == 1; }));
    REQUIRE(host.await([&] { return host.names.size() == 1; }));
  }
  fs::path folder_of_host() const {
    for (const auto& entry : fs::directory_iterator(path)) {
      const std::string name = entry.path().filename();
      if (name != "master" && !name.ends_with(".new")) return entry.path();
    }
    return {};
  }

  const support::TempDir directory;
  const fs::path path = directory / "messages";
  FileTransport of_master{path, FileTransport::Role::master};
  FileTransport of_host{path, FileTransport::Role::host};
  End master{of_master};
  End host{of_host};
};

}  // namespace

TEST_CASE("messages arrive complete and in order, and more of them than are under way at a time") {
  Pair pair;
  constexpr int n = 40;
  for (int i = 0; i < n; ++i) {
    const std::size_t size = i % 4 == 0 ? std::size_t{4} << 20 : static_cast<std::size_t>(i);
    pair.of_master.send(1, bytes(size, i));
    pair.of_host.send(1, bytes(size, i + 1));
  }
  std::jthread answers([&] { pair.host.await([&] { return pair.host.messages[1].size() == n; }); });
  CHECK(pair.master.await([&] { return pair.master.messages[1].size() == n; }));
  answers.join();
  REQUIRE(pair.host.messages[1].size() == n);
  for (int i = 0; i < n; ++i) {
    const std::size_t size = i % 4 == 0 ? std::size_t{4} << 20 : static_cast<std::size_t>(i);
    CHECK(pair.host.messages[1][static_cast<std::size_t>(i)] == bytes(size, i));
    CHECK(pair.master.messages[1][static_cast<std::size_t>(i)] == bytes(size, i + 1));
  }
  CHECK(pair.of_master.unsent(1) == 0);
  CHECK(pair.master.ends.empty());
}

TEST_CASE("who leaves is lost behind what it has sent, and leaves nothing") {
  Pair pair;
  pair.of_host.send(1, bytes(3, 7));
  pair.of_host.close();
  CHECK(pair.master.await([&] { return !pair.master.ends.empty(); }));
  CHECK(pair.master.ends[1] == "has left");
  CHECK(pair.master.messages[1].size() == 1);
  CHECK(pair.folder_of_host().empty());
  pair.of_master.close();
  CHECK(!fs::exists(pair.path));
}

TEST_CASE("a master that ends tells its hosts, and removes the directory") {
  Pair pair;
  std::jthread host([&] { pair.host.await([&] { return !pair.host.ends.empty(); }); });
  pair.of_master.send(1, bytes(3, 7));
  pair.of_master.close();
  host.join();
  CHECK(pair.host.messages[1].size() == 1);
  CHECK(pair.host.ends[1] == "has left");
  CHECK(!pair.of_host.is_abandoned());
  CHECK(!fs::exists(pair.path));
}

TEST_CASE("a process that has no descriptors left for a while loses nobody") {
  Pair pair;
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  rlimit none = before;
  none.rlim_cur = 0;
  ::setrlimit(RLIMIT_NOFILE, &none);
  pair.of_host.send(1, bytes(3, 7));
  for (int i = 0; i < 200; ++i) {
    pair.of_host.poll(pair.host);
    pair.of_master.poll(pair.master);
    std::this_thread::sleep_for(1ms);
  }
  ::setrlimit(RLIMIT_NOFILE, &before);
  CHECK(pair.master.messages[1].empty());
  std::jthread host([&] { pair.host.await([&] { return pair.of_host.unsent(1) == 0; }); });
  CHECK(pair.master.await([&] { return pair.master.messages[1].size() == 1; }));
  CHECK(pair.master.ends.empty());
  CHECK(pair.host.ends.empty());
}

TEST_CASE("a message that is damaged costs its sender, and nobody else") {
  Pair pair;
  FileTransport another(pair.path, FileTransport::Role::host);
  CHECK(pair.master.await([&] { return pair.master.names.size() == 2; }));
  const std::string name = pair.folder_of_host().filename().string();
  support::spill(pair.path / "master" / (name + ".2"), "no message");
  // Names that are none are left alone.
  support::spill(pair.path / "master" / "README", "no message");
  support::spill(pair.path / "master" / "x.99999999999999999999999", "no message");
  CHECK(pair.master.await([&] { return !pair.master.ends.empty(); }));
  CHECK(pair.master.ends.size() == 1);
  CHECK(pair.master.ends.begin()->second.find("is damaged") != std::string::npos);
  // Also the first of somebody who was never heard of: once.
  const fs::path first = pair.path / "master" / "stranger.1";
  support::spill(first, "no message");
  CHECK(pair.master.await([&] { return pair.master.ends.size() == 2; }));
  CHECK(!fs::exists(first));
}

TEST_CASE("a host that can't say that it is there is none") {
  const support::TempDir directory;
  const fs::path path = directory / "messages";
  const FileTransport of_master(path, FileTransport::Role::master);
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  rlimit none = before;
  none.rlim_cur = 0;
  ::setrlimit(RLIMIT_NOFILE, &none);
  CHECK_THROWS_AS(FileTransport(path, FileTransport::Role::host), hoist::SystemError);
  ::setrlimit(RLIMIT_NOFILE, &before);
}

TEST_CASE("a host without a master gives up, and tells whether there was one") {
  const support::TempDir directory;
  const fs::path path = directory / "messages";
  fs::create_directories(path / "master");
  FileTransport of_host(path, FileTransport::Role::host);
  End host(of_host);
  CHECK(host.await([&] { return !host.ends.empty(); }));
  CHECK(of_host.is_abandoned());
  CHECK(!of_host.has_heard());

  CHECK_THROWS(FileTransport(directory / "none", FileTransport::Role::host));
}
