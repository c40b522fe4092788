// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/parallel.hpp>
#include <hoist/shared_memory.hpp>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "support/child.hpp"
#include "support/python.hpp"
#include "support/temp_dir.hpp"

using namespace hoist;

namespace {

/// A name that no other run of this test has.
std::string own_name(const std::string& end) {
  return "hoist-test-" + std::to_string(::getpid()) + "-" + end;
}

bool exists(const std::string& name) { return std::filesystem::exists("/dev/shm/" + name); }

int put(const SharedMemory& memory, std::size_t at) {
  memory.bytes()[at] = static_cast<std::byte>(at + 1);
  return static_cast<int>(memory.size());
}

}  // namespace

TEST_CASE("tasks on every backend get shared memory itself") {
  for (const std::string backend : {"sequential", "threads", "fork", "spawn"}) {
    CAPTURE(backend);
    const std::string name = own_name("tasks");
    for (const auto& memory : {SharedMemory::create(10), SharedMemory::create(5000, name)}) {
      const auto sizes = Parallel({.n_jobs = 2, .backend = backend})(
          std::vector{delayed(put)(memory, std::size_t{3}), delayed(put)(memory, std::size_t{9})});
      CHECK(sizes == std::vector<int>(2, static_cast<int>(memory.size())));
      const auto same = [](const SharedMemory& it) { return it; };
      const auto back =
          Parallel({.n_jobs = 2, .backend = backend})(std::vector{delayed(same)(memory)});
      CHECK(back[0].name() == memory.name());
      CHECK(back[0].size() == memory.size());
      CHECK(back[0].bytes()[3] == std::byte{4});
      CHECK(memory.bytes()[3] == std::byte{4});
      CHECK(memory.bytes()[9] == std::byte{10});
      memory.unlink();
    }
    CHECK_FALSE(exists(name));
  }
}

TEST_CASE("other processes attach to shared memory by its name") {
  const std::string name = own_name("named");
  const auto memory = SharedMemory::create(100, "/" + name);
  CHECK(memory.name() == "/" + name);
  CHECK(memory.size() == 100);
  support::Child child([&] {
    const auto same = SharedMemory::attach(name);
    if (same.size() != 100) throw 1;
    same.bytes()[99] = std::byte{7};
  });
  CHECK(child.wait() == 0);
  CHECK(memory.bytes()[99] == std::byte{7});
  // Nobody who attaches removes the name, as Python's trackers do.
  CHECK(exists(name));
  CHECK_THROWS_WITH_AS(SharedMemory::create(1, name), doctest::Contains("already"), BadArgument);
  const auto attached = SharedMemory::attach(name);
  memory.unlink();
  memory.unlink();
  CHECK_FALSE(exists(name));
  CHECK_THROWS_AS(SharedMemory::attach(name), NotFound);
  CHECK(attached.bytes()[99] == std::byte{7});
  // The name of other memory by now.
  const auto later = SharedMemory::create(1, name);
  attached.unlink();
  CHECK(exists(name));
  later.unlink();
}

TEST_CASE("names whose makers were killed are removed by the next who makes one") {
  const std::string name = own_name("orphan");
  const std::string kept = own_name("kept");
  support::Child child([&] {
    SharedMemory::create(1, name);
    ::pause();
  });
  while (!exists(name)) std::this_thread::yield();
  const auto alive = SharedMemory::create(1, kept);
  CHECK(exists(name));
  child.kill();
  const auto memory = SharedMemory::create(1, name);
  CHECK(exists(name));
  CHECK(exists(kept));
  memory.unlink();
  alive.unlink();
}

TEST_CASE("what can't be shared memory is refused") {
  CHECK_THROWS_AS(SharedMemory::create(0), BadArgument);
  CHECK_THROWS_AS(SharedMemory::create(0, own_name("empty")), BadArgument);
  for (const std::string name : {"", "/", "..", "a/b", "//a"}) {
    CAPTURE(name);
    CHECK_THROWS_AS(SharedMemory::create(1, name), BadArgument);
    CHECK_THROWS_AS(SharedMemory::attach(name), BadArgument);
  }
  CHECK_THROWS_AS(SharedMemory::create(1, std::string(201, 'a')), BadArgument);
  CHECK_THROWS_AS(SharedMemory::create(std::size_t{1} << 60, own_name("large")), SystemError);
  CHECK_THROWS_AS(SharedMemory::create(static_cast<std::size_t>(-1), own_name("large")),
                  SystemError);
  CHECK_FALSE(exists(own_name("large")));
  const std::string name = own_name("file");
  std::ofstream("/dev/shm/" + name).close();
  CHECK_THROWS_AS(SharedMemory::attach(name), DamagedData);
  std::filesystem::remove("/dev/shm/" + name);
  std::filesystem::create_symlink("/dev/null", "/dev/shm/" + name);
  CHECK_THROWS_AS(SharedMemory::attach(name), SystemError);
  std::filesystem::remove("/dev/shm/" + name);
}

TEST_CASE("files that are not hoist's, or look so, are left alone and read whole") {
  const std::string name = own_name("foreign");
  std::string content(3 * 4096, 'x');
  content.replace(2 * 4096, 21, "hoist shared memory 1");
  std::ofstream("/dev/shm/" + name, std::ios::binary) << content;
  const auto foreign = SharedMemory::attach(name);
  CHECK(foreign.size() == content.size());
  const auto memory = SharedMemory::create(1, own_name("other"));
  memory.unlink();
  CHECK(exists(name));
  foreign.unlink();
  CHECK_FALSE(exists(name));
}

TEST_CASE("the names that a manager has made go with it") {
  std::string name;
  {
    SharedMemoryManager manager;
    const auto memory = manager.create(10);
    name = memory.name();
    CHECK(exists(name));
    CHECK(manager.create(10).name() != name);
    // A child has a copy, which it may use and destroy.
    support::Child child([&] {
      SharedMemoryManager own = std::move(manager);
      const std::string made = own.create(1).name();
      if (!exists(made)) throw 1;
      own = SharedMemoryManager();
      if (exists(made)) throw 1;
    });
    CHECK(child.wait() == 0);
    CHECK(exists(name));
  }
  CHECK_FALSE(exists(name));
}

TEST_CASE("Python attaches to shared memory, and hoist to Python's") {
  const support::TempDir dir;
  const std::string name = own_name("python");
  const auto memory = SharedMemory::create(4096, name);
  memory.bytes()[7] = std::byte{3};
  const std::string text = support::python(dir.path(), R"(
from multiprocessing import resource_tracker, shared_memory
resource_tracker.register = resource_tracker.unregister = lambda name, kind: None
theirs = shared_memory.SharedMemory(')" + name + R"(')
theirs.buf[5] = 42
print(theirs.size, theirs.buf[7])
theirs.close()
own = shared_memory.SharedMemory(')" + name + R"(-2', create=True, size=10)
own.buf[9] = 1
own.close()
)");
  CHECK(text == "8192 3\n");
  CHECK(memory.bytes()[5] == std::byte{42});
  memory.unlink();
  const auto theirs = SharedMemory::attach(name + "-2");
  CHECK(theirs.size() >= 10);
  CHECK(theirs.bytes()[9] == std::byte{1});
  theirs.unlink();
  CHECK_FALSE(exists(name + "-2"));
}
