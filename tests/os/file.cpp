// SPDX-License-Identifier: BSD-3-Clause
#include "os/file.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <hoist/codec.hpp>
#include <hoist/error.hpp>

#include <atomic>
#include <csignal>
#include <future>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "os/atomic_file.hpp"
#include "support/temp_dir.hpp"

using hoist::detail::os::AtomicFile;
using hoist::detail::os::FileLayer;
using hoist::detail::os::FileSource;
using hoist::detail::os::replace_system_files;
using support::TempDir;

namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace

TEST_CASE("pieces of any size arrive in order") {
  const TempDir dir;
  std::string all;
  {
    AtomicFile file(dir / "f");
    for (std::size_t i = 0; i < 300; ++i) {
      const std::string piece((i * 7919) % 70000, static_cast<char>('a' + i % 26));
      file.write(bytes_of(piece));
      all += piece;
    }
    CHECK_FALSE(std::filesystem::exists(dir / "f"));
    file.commit(true);
  }
  CHECK(support::slurp(dir / "f") == all);
  FileSource source(dir / "f");
  std::string read(all.size(), 0);
  std::size_t at = 0;
  for (std::size_t step = 1; at < read.size(); step = step * 3 % 40009 + 1) {
    const std::size_t n = std::min(step, read.size() - at);
    CHECK(source.position() == at);
    if (step % 2 == 0) CHECK(source.peek(10).size() == std::min<std::size_t>(10, all.size() - at));
    REQUIRE(source.read(reinterpret_cast<std::byte*>(read.data() + at), n) == n);
    at += n;
  }
  CHECK(read == all);
  CHECK(source.left() == 0);
}

TEST_CASE("without commit nothing appears and nothing is left") {
  const TempDir dir;
  support::spill(dir / "f", "old");
  {
    AtomicFile file(dir / "f");
    file.write(bytes_of("new"));
  }
  CHECK(support::slurp(dir / "f") == "old");
  CHECK(support::count_entries(dir.path()) == 1);
}

TEST_CASE("a writer killed at any moment leaves the old file or the new") {
  const TempDir dir;
  const std::string before(100000, 'o');
  const std::string after(400000, 'n');
  for (int round = 0; round < 40; ++round) {
    support::spill(dir / "f", before);
    const pid_t child = ::fork();
    if (child == 0) {
      for (;;) {
        AtomicFile file(dir / "f");
        file.write(bytes_of(after.substr(0, 150000)));
        file.write(bytes_of(after.substr(150000)));
        file.commit();
      }
    }
    std::this_thread::sleep_for(std::chrono::microseconds(round * 150));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    const std::string found = support::slurp(dir / "f");
    const bool whole = found == before || found == after;
    CHECK(whole);
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(200));  // past the pause between sweeps
  AtomicFile(dir / "f").commit();
  CHECK(support::count_entries(dir.path()) == 1);
}

TEST_CASE("pipes are read and written as they are") {
  const TempDir dir;
  REQUIRE(::mkfifo((dir / "pipe").c_str(), 0600) == 0);
  const std::string text(200000, 'p');
  std::thread writer([&] {
    AtomicFile file(dir / "pipe");
    file.write(bytes_of(text));
    file.commit();
  });
  CHECK(hoist::read_file(dir / "pipe") == text);
  writer.join();
}

// A sweep had locked a file and was about to remove it when it was committed: the commit failed.
TEST_CASE("files made while other processes sweep their directory") {
  const support::TempDir dir;
  std::vector<pid_t> children;
  const auto in_child = [&](auto work) {
    const pid_t child = ::fork();
    if (child != 0) return children.push_back(child);
    try {
      work();
    } catch (const hoist::Error&) {
      ::_exit(1);
    }
    ::_exit(0);
  };
  const auto wait_for_all = [&] {
    bool good = true;
    for (const pid_t child : std::exchange(children, {})) {
      int status = -1;
      ::waitpid(child, &status, 0);
      good = good && status == 0;
    }
    return good;
  };
  const auto make = [&](const std::string& name) { AtomicFile(dir / name).commit(); };
  for (const std::string name : {"a", "b"}) {
    in_child([&] {
      for (int i = 0; i < 5000; ++i) make(name);
    });
    // Each process sweeps when it writes its first file, and then pauses.
    in_child([&] {
      children.clear();
      for (int i = 0; i < 500; ++i) {
        in_child([&] { make("c" + name); });
        if (!wait_for_all()) ::_exit(1);
      }
    });
  }
  CHECK(wait_for_all());
  CHECK(support::count_entries(dir.path()) == 4);
}

// The sweep opened the pipe for reading and waited for a writer, for ever.
TEST_CASE("a pipe that is named like a temporary is left alone") {
  const TempDir dir;
  REQUIRE(::mkfifo((dir / ".hoist-tmp-1-0").c_str(), 0600) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(10);
    AtomicFile(dir / "f").commit();
    ::_exit(0);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
  CHECK(support::count_entries(dir.path()) == 2);
}

// fsync(2) says EINVAL of devices, which was reported as an error.
TEST_CASE("a device has nothing to be synced") {
  AtomicFile file("/dev/null");
  file.write(bytes_of("text"));
  CHECK_NOTHROW(file.commit(true));
}

namespace {

/// Stops in the first sweep until it is told to go on.
class SlowFiles final : public FileLayer {
 public:
  int lock_file(int fd) override {
    if (!stopped_.exchange(true)) {
      reached.set_value();
      go_on.get_future().wait();
    }
    return FileLayer::lock_file(fd);
  }
  std::promise<void> reached;
  std::promise<void> go_on;

 private:
  std::atomic<bool> stopped_{false};
};

/// Fails all writes, as a full disk does.
class FullFiles final : public FileLayer {
 public:
  void write(int, std::span<const std::byte>, const std::string& path) override {
    throw hoist::SystemError("can't write to " + path, ENOSPC);
  }
};

}  // namespace

// One mutex was held while a directory was listed: a slow file system stopped all writers.
TEST_CASE("a slow sweep of one directory does not stop writers in others") {
  const TempDir slow;
  const TempDir other;
  support::spill(slow / ".hoist-tmp-1-0", "by a killed writer");
  SlowFiles layer;
  std::thread sweeps([&] { AtomicFile(slow / "f", layer).commit(); });
  layer.reached.get_future().wait();
  auto written = std::async(std::launch::async, [&] {
    AtomicFile(other / "f").commit();
    AtomicFile(slow / "g").commit();
  });
  CHECK(written.wait_for(std::chrono::seconds(20)) == std::future_status::ready);
  layer.go_on.set_value();
  sweeps.join();
  written.get();
  CHECK(support::count_entries(slow.path()) == 2);
}

TEST_CASE("tests can put a layer of files beneath all atomic files") {
  const TempDir dir;
  support::spill(dir / "f", "old");
  FullFiles full;
  replace_system_files(&full);
  {
    AtomicFile file(dir / "f");
    file.write(bytes_of("new"));
    CHECK_THROWS_AS(file.commit(), hoist::SystemError);
  }
  replace_system_files(nullptr);
  CHECK(support::slurp(dir / "f") == "old");
  CHECK(support::count_entries(dir.path()) == 1);
}
