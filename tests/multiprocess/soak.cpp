// SPDX-License-Identifier: BSD-3-Clause
//
// As many operations as Python's multiprocessing makes in an hour (some 10^8 items through queues),
// and a small part of them in the usual run: nothing is lost, and nothing grows.
#include <doctest/doctest.h>
#include <hoist/manager.hpp>
#include <hoist/pipe.hpp>
#include <hoist/queue.hpp>
#include <hoist/shared.hpp>
#include <hoist/sync.hpp>

#include <dirent.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "support/child.hpp"
#include "support/extended.hpp"
#include "support/sanitized.hpp"

using namespace hoist;
using namespace std::chrono_literals;

namespace {

const long items = support::extended ? 100'000'000 : support::sanitized ? 20'000 : 500'000;

int open_descriptors() {
  int n = 0;
  DIR* const directory = ::opendir("/proc/self/fd");
  while (::readdir(directory) != nullptr) ++n;
  ::closedir(directory);
  return n;
}

long resident_pages() {
  long total = 0;
  long resident = 0;
  std::FILE* const file = std::fopen("/proc/self/statm", "r");
  if (std::fscanf(file, "%ld %ld", &total, &resident) != 2) resident = -1;
  std::fclose(file);
  return resident;
}

}  // namespace

TEST_CASE("a queue, a pipe and a lock are used for long") {
  const Queue<long> queue;
  auto [a, b] = Pipe<std::string>({.max_bytes = 1});
  const Lock lock;
  const SharedArray<long> sums(2, {.lock = false});
  support::Child child([&] {
    for (long i = 0; i < items; ++i) {
      queue.put(i);
      if (i % 16 == 0) b.send(b.recv());
      if (i % 8 == 0) {
        lock.lock();
        ++sums[0];
        lock.unlock();
      }
    }
  });
  long wrong = 0;
  const int descriptors = open_descriptors();
  long pages = 0;
  for (long i = 0; i < items; ++i) {
    if (queue.get() != i) ++wrong;
    if (i % 16 == 0) {
      const std::string text(static_cast<std::size_t>(i % 50'000), 't');
      a.send(text);
      if (a.recv() != text) ++wrong;
    }
    if (i % 8 == 0) {
      lock.lock();
      ++sums[1];
      lock.unlock();
    }
    if (i == items / 10) pages = resident_pages();
  }
  CHECK(child.wait_for(60s) == 0);
  CHECK(wrong == 0);
  CHECK(sums[0] == sums[1]);
  CHECK(queue.empty());
  CHECK(open_descriptors() == descriptors);
  // 8 MB. A sanitizer keeps what was freed, and looks for leaks itself.
  if (!support::sanitized) CHECK(resident_pages() - pages < 2000);
}

TEST_CASE("a manager is used for long") {
  const Manager manager;
  const auto dict = manager.dict<long, std::string>();
  const int descriptors = open_descriptors();
  for (long i = 0; i < items / 50; ++i) {
    dict.set(i % 1000, std::to_string(i));
    if (i % 100 == 0) {
      const auto list = manager.list<long>({i});
      if (list.pop() != i) FAIL("another item came back");
    }
  }
  CHECK(dict.size() == std::min(items / 50, 1000L));
  CHECK(open_descriptors() <= descriptors);
}
