// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>
#include <hoist/array.hpp>
#include <hoist/dump.hpp>
#include <hoist/error.hpp>
#include <hoist/memory.hpp>
#include <hoist/parallel.hpp>

#include <cfenv>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "support/child_program.hpp"
#include "support/sanitized.hpp"
#include "support/temp_dir.hpp"

// The world that the host program makes for the library: descriptors, signals, places, loaders.

using namespace hoist;
using namespace std::chrono_literals;
using support::ChildProgram;
using support::TempDir;

namespace {

int square(int x) { return x * x; }

/// Whether `work` returns true in a child of this process within a minute.
template <class Work>
bool holds_in_child(Work work) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(60);
    try {
      ::_exit(work() ? 0 : 1);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s\n", error.what());
    }
    ::_exit(2);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  return status == 0;
}

bool squares_right(const char* backend) {
  const std::vector<int> in{1, 2, 3, 4, 5};
  // ThreadSanitizer has one more thread in a forked child than elsewhere.
  return Parallel({.n_jobs = 2, .backend = backend, .force_fork = support::delays_signals})
             .map(in, square) == std::vector{1, 4, 9, 16, 25};
}

/// Starts a process that lasts, leaves its id in a file, and crashes.
int crash_with_child(const std::string& file) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::execlp("sleep", "sleep", "61.25", nullptr);
    ::_exit(1);
  }
  support::note_pids(file, {static_cast<int>(child)});
  ::signal(SIGSEGV, SIG_DFL);
  ::raise(SIGSEGV);
  return 0;
}

bool kernel_is_at_least(int major, int minor) {
  utsname name{};
  ::uname(&name);
  int found_major = 0;
  int found_minor = 0;
  std::sscanf(name.release, "%d.%d", &found_major, &found_minor);
  return std::pair(found_major, found_minor) >= std::pair(major, minor);
}

}  // namespace

TEST_CASE("loops and caches work without any of the standard descriptors") {
  for (unsigned closed = 1; closed < 8; ++closed) {
    for (const char* backend : {"threads", "fork", "spawn"}) {
      CAPTURE(closed);
      CAPTURE(backend);
      CHECK(holds_in_child([&] {
        for (int fd = 0; fd < 3; ++fd) {
          if ((closed >> fd & 1) != 0) ::close(fd);
        }
        const TempDir dir;
        const Memory memory(dir.path(), {.verbose = 10});
        const auto cached = memory.cache(square);
        return squares_right(backend) && cached(3) == 9 && cached(3) == 9 &&
               memory.stats().hits == 1 && squares_right(backend);
      }));
    }
  }
}

TEST_CASE("a log without a standard error goes into no file of a cache") {
  const TempDir dir;
  CHECK(holds_in_child([&] {
    ::close(2);
    const Memory memory(dir.path(), {.verbose = 50});
    return memory.cache(square)(3) == 9;
  }));
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dir.path())) {
    if (!entry.is_regular_file()) continue;
    CAPTURE(entry.path());
    CHECK(support::slurp(entry.path()).find("calling") == std::string::npos);
  }
}

TEST_CASE("a crash is known, and ends what the task had started, whoever collects children") {
  // What became of a child that somebody else has collected is known from Linux 6.15 on.
  const bool is_known = kernel_is_at_least(6, 15);
  for (const char* backend : {"fork", "spawn"}) {
    CAPTURE(backend);
    const TempDir dir;
    const std::string file = dir / "pid";
    CHECK(holds_in_child([&] {
      std::signal(SIGCHLD, SIG_IGN);
      try {
        Parallel({.n_jobs = 1, .backend = backend}).map(std::vector{file}, crash_with_child);
        return false;
      } catch (const WorkerDied& died) {
        const bool says_so =
            std::string(died.what()).find("unknown") != std::string::npos && died.signal() == 0;
        return is_known ? died.signal() == SIGSEGV : says_so;
      }
    }));
    if (kernel_is_at_least(6, 9)) {
      CHECK(support::within(20s, [&] { return support::is_gone(support::noted_pids(file)[0]); }));
    }
  }
}

TEST_CASE("a daemon that closes all descriptors can go on using loops and arrays") {
  const std::vector one{1};
  const Parallel spawn({.n_jobs = 2, .backend = "spawn"});
  CHECK(squares_right("spawn"));
  auto array = Array<double>({std::size_t{1} << 20});
  array[7] = 7;
  const auto at_7 = [&] {
    return std::get<0>(spawn(delayed([](const Array<double>& a) { return a[7]; })(array)));
  };
  CHECK(at_7() == 7);
  const TempDir dir;
  CHECK(holds_in_child([&] {
    ::setsid();
    for (int fd = 3; fd < 1024; ++fd) ::close(fd);
    // The numbers of the library's descriptors come to mean other files, here of the same size.
    for (int i = 0; i < 60; ++i) {
      const int fd = ::open((dir / std::to_string(i)).c_str(), O_RDWR | O_CREAT, 0600);
      if (::ftruncate(fd, std::int64_t{1} << 23) != 0) return false;
    }
    bool right = at_7() == 7 && squares_right("spawn") && squares_right("fork") && at_7() == 7;
    {
      const Array<double> last = std::move(array);
    }
    for (int fd = 3; fd < 60; ++fd) right = right && ::fcntl(fd, F_GETFD) >= 0;
    return right;
  }));
}

TEST_CASE("tasks see the working directory and the umask that the caller has at the loop's start") {
  const auto where = [](int) { return std::filesystem::current_path().string(); };
  const auto mask = [](int) { return static_cast<int>(::umask(0)); };
  const auto elsewhere = [](int) { std::filesystem::current_path("/usr"); };
  const std::filesystem::path before = std::filesystem::current_path();
  const mode_t umask_before = ::umask(027);
  const TempDir dir;
  const std::string inner = std::filesystem::canonical(dir.path());
  const std::vector one{1};
  for (const char* backend : {"fork", "spawn"}) {
    CAPTURE(backend);
    const Parallel parallel({.n_jobs = 1, .backend = backend});
    for (const std::string& place : {before.string(), inner, std::string("/")}) {
      std::filesystem::current_path(place);
      CHECK(parallel.map(one, where)[0] == place);
      parallel.for_each(one, elsewhere);
      CHECK(parallel.map(one, where)[0] == place);
    }
    for (const mode_t wanted : {mode_t{0077}, mode_t{0002}}) {
      ::umask(wanted);
      CHECK(parallel.map(one, mask)[0] == static_cast<int>(wanted));
      CHECK(parallel.map(one, mask)[0] == static_cast<int>(wanted));
    }
  }
  std::filesystem::current_path(before);
  ::umask(umask_before);
}

TEST_CASE("tasks compute with floats, and block signals, as the caller of their loop does") {
  const std::vector<int> in(64, 3);
  const auto third = [](int x) {
    const volatile double one = 1;
    return one / x;
  };
  const double nearest = third(3);
  const auto blocked = [](int) {
    sigset_t now;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &now);
    return ::sigismember(&now, SIGUSR1) * 2 + ::sigismember(&now, SIGTERM);
  };
  for (const char* backend : {"threads", "fork", "spawn"}) {
    CAPTURE(backend);
    const Parallel parallel({.n_jobs = 3, .backend = backend, .batch_size = 1});
    CHECK(parallel.map(in, third) == std::vector(64, nearest));
    std::fesetround(FE_UPWARD);
    const auto upward = parallel.map(in, third);
    std::fesetround(FE_TONEAREST);
    CHECK(upward == std::vector(64, std::nextafter(nearest, 1)));
    CHECK(parallel.map(in, third) == std::vector(64, nearest));
  }
  sigset_t mine;
  ::sigemptyset(&mine);
  ::sigaddset(&mine, SIGUSR1);
  ::pthread_sigmask(SIG_BLOCK, &mine, nullptr);
  CHECK(Parallel({.n_jobs = 3, .backend = "threads", .batch_size = 1}).map(in, blocked) ==
        std::vector(64, 2));
  ::pthread_sigmask(SIG_UNBLOCK, &mine, nullptr);
}

TEST_CASE("nothing of the library traps in a program whose floating-point errors do") {
  const TempDir dir;
  CHECK(holds_in_child([&] {
    ::feenableexcept(FE_DIVBYZERO | FE_INVALID | FE_OVERFLOW);
    bool right = true;
    for (const char* backend : {"sequential", "threads", "fork", "spawn"}) {
      right = squares_right(backend) && right;
    }
    const Array<double> values({300, 1000});
    dump(values, dir / "values", {.compress = 3});
    right = load<Array<double>>(dir / "values").size() == values.size() && right;
    const Memory memory(dir / "cache");
    const auto cached = memory.cache(square);
    right = cached(3) == 9 && cached(3) == 9 && right;
    return right;
  }));
}

TEST_CASE("where the system gives no more threads, work is done with fewer, or the error says it") {
  const TempDir dir;
  ::chmod(dir.path().c_str(), 0777);
  CHECK(holds_in_child([&] {
    // The limit holds for all processes of a user, but for root's.
    const uid_t user = 61'234;
    const rlimit one{1, 1};
    if (::setresuid(user, user, user) != 0 || ::setrlimit(RLIMIT_NPROC, &one) != 0) {
      return ::geteuid() != 0;  // who isn't root can't try it
    }
    if (!squares_right("threads")) return false;
    const std::vector<double> values(3 << 20, 1.5);
    for (const bool compressed : {false, true}) {
      DumpOptions options{.threads = 2};
      if (compressed) options.compress = "zstd";
      dump(values, dir / "values.hoist", options);
      if (load<std::vector<double>>(dir / "values.hoist", {.threads = 2}) != values) return false;
    }
    try {
      squares_right("spawn");
      return false;
    } catch (const SystemError& error) {
      return std::string(error.what()).find("ulimit -u") != std::string::npos;
    }
  }));
}

TEST_CASE("(child) a loop on spawned workers" * doctest::skip()) {
  std::filesystem::current_path("/");
  CHECK(squares_right("spawn"));
}

TEST_CASE("workers start where the program was started by calling the dynamic linker") {
  const char* const linker = "/lib64/ld-linux-x86-64.so.2";
  if (support::sanitized || ::access(linker, X_OK) != 0) return;
  ChildProgram program("(child) a loop on spawned workers", {}, linker);
  CHECK(program.ends_within(60s));
  CHECK(program.exit_code() == 0);
  CAPTURE(program.output());
  CHECK(program.output().find("1 passed") != std::string::npos);
}
