// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <hoist/memory.hpp>

#include <atomic>
#include <chrono>
#include <new>
#include <thread>
#include <vector>

#include "memory/store.hpp"
#include "support/temp_dir.hpp"

// Callers that compute one result and wait for another one, whose computation waits for theirs.
// None may wait for ever: a child that does is killed by its alarm, which the parent detects.

using hoist::ignored;
using hoist::Memory;
using support::TempDir;
using namespace std::chrono_literals;

namespace {

/// Shared by all processes of a test.
struct Board {
  std::atomic<int> inside{0};  ///< callers that compute their own result
  int wanted = 0;              ///< how many must before anybody goes on
  int members = 0;
  std::atomic<int> calls{0};
  const Memory* memories[4] = {};
};

Board* board = nullptr;

int ring(int member, ignored<bool> first);

int next_of(int member) {
  const int next = (member + 1) % board->members;
  return board->memories[next]->cache(ring)(next, false);
}

/// Asks for the result of the next member once all compute their own.
int ring(int member, ignored<bool> first) {
  ++board->calls;
  if (!first.value) return member;
  ++board->inside;
  while (board->inside < board->wanted) std::this_thread::sleep_for(1ms);
  return next_of(member) * 0 + member;
}

class SharedBoard {
 public:
  explicit SharedBoard(int members) {
    void* place =
        ::mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    board = new (place) Board;
    board->members = board->wanted = members;
  }
  SharedBoard(const SharedBoard&) = delete;
  SharedBoard& operator=(const SharedBoard&) = delete;
  ~SharedBoard() { ::munmap(board, sizeof(Board)); }
};

pid_t in_child(const auto& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(30);
    ::_exit(work());
  }
  return child;
}

int exit_code(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int start(int member) {
  return board->memories[member]->cache(ring)(member, true) == member ? 0 : 1;
}

int slow(int x) {
  ++board->calls;
  std::this_thread::sleep_for(200ms);
  return x;
}
int outer(int x) { return board->memories[0]->cache(slow)(7) + x; }

}  // namespace

TEST_CASE("processes that wait in a circle") {
  for (const int members : {2, 3, 4}) {
    CAPTURE(members);
    const TempDir dir;
    const SharedBoard shared(members);
    const Memory memory(dir.path());
    for (auto& one : board->memories) one = &memory;
    std::vector<pid_t> children;
    for (int i = 0; i < members; ++i) children.push_back(in_child([&] { return start(i); }));
    for (const pid_t child : children) CHECK(exit_code(child) == 0);
    // One of them computed the next one's result instead of waiting.
    CHECK(board->calls > members);
    CHECK(board->calls <= 2 * members);
  }
}

TEST_CASE("processes with threads that wait in a circle") {
  for (int round = 0; round < 5; ++round) {
    const TempDir dir;
    const SharedBoard shared(4);
    const Memory memory(dir.path());
    for (auto& one : board->memories) one = &memory;
    // 0 and 2 are threads of one process, 1 and 3 of the other.
    std::vector<pid_t> children;
    for (int i = 0; i < 2; ++i) {
      children.push_back(in_child([&] {
        std::atomic<int> failed{0};
        {
          std::jthread one([&] { failed += start(i); });
          std::jthread two([&] { failed += start(i + 2); });
        }
        return failed.load();
      }));
    }
    for (const pid_t child : children) CHECK(exit_code(child) == 0);
  }
}

TEST_CASE("threads that wait in a circle") {
  for (int round = 0; round < 5; ++round) {
    const TempDir dir;
    const SharedBoard shared(3);
    const Memory memory(dir.path());
    for (auto& one : board->memories) one = &memory;
    const pid_t child = in_child([&] {
      std::atomic<int> failed{0};
      {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 3; ++i) threads.emplace_back([&, i] { failed += start(i); });
      }
      return failed.load();
    });
    CHECK(exit_code(child) == 0);
  }
}

TEST_CASE("processes that wait in a circle through several locations") {
  const TempDir dir;
  const SharedBoard shared(3);
  const Memory one(dir / "one"), two(dir / "two"), three(dir / "three");
  board->memories[0] = &one;
  board->memories[1] = &two;
  board->memories[2] = &three;
  std::vector<pid_t> children;
  for (int i = 0; i < 3; ++i) children.push_back(in_child([&] { return start(i); }));
  for (const pid_t child : children) CHECK(exit_code(child) == 0);
}

TEST_CASE("callers that hold other results' locks still compute once") {
  const TempDir dir;
  const SharedBoard shared(0);
  const Memory memory(dir.path());
  board->memories[0] = &memory;
  std::vector<pid_t> children;
  for (int i = 0; i < 6; ++i) {
    children.push_back(in_child([&] { return memory.cache(outer)(i) == i + 7 ? 0 : 1; }));
  }
  for (const pid_t child : children) CHECK(exit_code(child) == 0);
  CHECK(board->calls == 1);
}

TEST_CASE("announcements end with their makers") {
  const TempDir dir;
  const auto store = hoist::detail::memory::make_store("local", {.location = dir.path()});
  const auto other = hoist::detail::memory::make_store("local", {.location = dir.path()});
  const auto lock = store->lock("f/v/aa/1");
  CHECK(store->try_lock("f/v/aa/1") == nullptr);
  CHECK(other->try_lock("f/v/aa/2") != nullptr);
  auto first = store->announce_wait("f/v/aa/2", {"f/v/aa/1"});
  CHECK(first != nullptr);
  auto second = other->announce_wait("f/v/aa/3", {"f/v/aa/2"});
  CHECK(second != nullptr);
  CHECK(store->announce_wait("f/v/aa/1", {"f/v/aa/3", "f/v/aa/5"}) == nullptr);
  CHECK(store->announce_wait("f/v/aa/1", {"f/v/aa/4"}) != nullptr);
  CHECK(store->announce_wait("f/v/aa/1", {"f/v/aa/1"}) == nullptr);
  second.reset();
  CHECK(store->announce_wait("f/v/aa/1", {"f/v/aa/3"}) != nullptr);
}

TEST_CASE("a lock of another program on the announcements is not read as millions of them") {
  const TempDir dir;
  const auto store = hoist::detail::memory::make_store("local", {.location = dir.path()});
  const auto lock = store->lock("f/v/aa/1");
  const int other = ::open((dir / ".hoist/waits").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  REQUIRE(other >= 0);
  struct flock all{};
  all.l_type = F_RDLCK;
  all.l_whence = SEEK_SET;
  REQUIRE(::fcntl(other, F_OFD_SETLK, &all) == 0);
  CHECK(store->announce_wait("f/v/aa/2", {"f/v/aa/1"}) == nullptr);
  ::close(other);
  CHECK(store->announce_wait("f/v/aa/2", {"f/v/aa/1"}) != nullptr);
}
