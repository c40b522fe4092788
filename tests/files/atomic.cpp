// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <hoist/array.hpp>
#include <hoist/dump.hpp>

#include <csignal>
#include <ext/stdio_filebuf.h>
#include <istream>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

#include "support/bytes.hpp"
#include "support/temp_dir.hpp"

using hoist::Array;
using hoist::dump;
using hoist::load;
using support::TempDir;

namespace {

Array<double> filled(double value) {
  auto array = Array<double>::uninitialized({std::size_t{1} << 20});
  std::fill(array.begin(), array.end(), value);
  return array;
}

const std::vector<std::string> names{"a.hoist", "a.hoist.gz", "a.hoist.lz4", "a.hoist.zst"};

}  // namespace

TEST_CASE("a dump killed at any moment leaves the old file or the new one") {
  const TempDir dir;
  for (const auto& name : names) {
    CAPTURE(name);
    const auto path = dir / name;
    dump(filled(1), path);
    for (int i = 0; i < 12; ++i) {
      const pid_t child = ::fork();
      if (child == 0) {
        // The parent's threads do not exist after fork, but the child may start new ones.
        dump(filled(2), path);
        ::_exit(0);
      }
      std::this_thread::sleep_for(std::chrono::microseconds(1500 * i));
      ::kill(child, SIGKILL);
      ::waitpid(child, nullptr, 0);
      const auto found = load<Array<double>>(path);
      CHECK((found == filled(1) || found == filled(2)));
    }
  }
  // After a sweep the next one waits for a multiple of the time that it took.
  for (int i = 0; i < 100; ++i) {
    dump(1, dir / "last");
    if (support::count_entries(dir.path()) == names.size() + 1) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  CHECK(support::count_entries(dir.path()) == names.size() + 1);
}

TEST_CASE("a full disk is an error and leaves the old file, with every codec") {
  const TempDir dir;
  const std::string noise = support::sample_bytes('r', 4 << 20);
  for (const char* codec : {"zlib", "gzip", "bz2", "lz4", "zstd"}) {
    for (const char* name : {"s.hoist", "s.gz"}) {
      CAPTURE(codec);
      const auto path = dir / name;
      dump(1, path);
      const pid_t child = ::fork();
      if (child == 0) {
        // The limit makes writes fail like a full disk.
        ::signal(SIGXFSZ, SIG_IGN);
        const rlimit small{1 << 20, 1 << 20};
        ::setrlimit(RLIMIT_FSIZE, &small);
        try {
          dump(noise, path, {.compress = codec});
        } catch (const hoist::SystemError& error) {
          ::_exit(error.code() == EFBIG ? 0 : 2);
        }
        ::_exit(1);
      }
      int status = -1;
      ::waitpid(child, &status, 0);
      CHECK(status == 0);
      CHECK(load<int>(path) == 1);
    }
  }
  CHECK(support::count_entries(dir.path()) == 2);
}

TEST_CASE("values pass through a pipe one after another") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const auto big = filled(3);
  std::jthread writer([&] {
    __gnu_cxx::stdio_filebuf<char> buffer(ends[1], std::ios::out | std::ios::binary);
    std::ostream out(&buffer);
    dump(big, out, {.compress = true});
    dump(std::string("between"), out);
    dump(big, out);
  });
  __gnu_cxx::stdio_filebuf<char> buffer(ends[0], std::ios::in | std::ios::binary);
  std::istream in(&buffer);
  CHECK(load<Array<double>>(in) == big);
  CHECK(load<std::string>(in) == "between");
  CHECK(load<Array<double>>(in) == big);
  CHECK_THROWS_AS(load<int>(in), hoist::NotFound);
}
