// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/array.hpp>
#include <hoist/lock.hpp>
#include <hoist/parallel.hpp>
#include <hoist/process.hpp>
#include <hoist/shared.hpp>
#include <hoist/sync.hpp>
#include <hoist/worker.hpp>

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "support/child_program.hpp"
#include "support/processes.hpp"
#include "support/temp_dir.hpp"

using namespace hoist;
using namespace std::chrono_literals;
using support::all_methods;
using support::within;

namespace {

void add(const SharedValue<int>& sum, int a, int b) { sum.set(a + b); }

[[noreturn]] void sleep_for_ever() {
  for (;;) ::pause();
}

struct Purchase {
  std::string item;
  std::vector<double> prices;
  std::map<std::string, int> counts;
};

void take_purchase(const Purchase& order, const SharedValue<double>& total) {
  double sum = std::accumulate(order.prices.begin(), order.prices.end(), 0.0);
  for (const auto& [name, count] : order.counts) sum += count;
  if (order.item != "tea") std::exit(3);
  total.set(sum);
}

}  // namespace

TEST_CASE(
    "a process calls a function with its arguments, and its attributes tell where it stands") {
  for (const StartMethod method : all_methods) {
    CAPTURE(static_cast<int>(method));
    const SharedValue<int> sum(0);
    Process process({.name = "adder", .start_method = method}, add, sum, 2, 3);
    CHECK(process.name() == "adder");
    CHECK(process.pid() == 0);
    CHECK_FALSE(process.is_alive());
    CHECK_FALSE(process.daemon());
    CHECK_FALSE(process.exitcode().has_value());
    CHECK_THROWS_AS(process.join(), BadArgument);
    CHECK_THROWS_AS(process.terminate(), BadArgument);
    CHECK_THROWS_AS((void)process.sentinel(), BadArgument);
    process.start();
    CHECK(process.pid() > 0);
    CHECK(process.pid() != ::getpid());
    CHECK_THROWS_AS(process.start(), BadArgument);
    CHECK_THROWS_AS(process.set_options({}), BadArgument);
    process.join();
    CHECK(sum.get() == 5);
    CHECK(process.exitcode() == 0);
    CHECK_FALSE(process.is_alive());
    process.join();
    CHECK(process.join(0s));
    process.terminate();
    process.kill();
    CHECK(process.exitcode() == 0);
  }
}

TEST_CASE("arguments of all kinds reach a process") {
  for (const StartMethod method : all_methods) {
    CAPTURE(static_cast<int>(method));
    const SharedValue<double> total(0);
    const Purchase order{"tea", {1, 2, 3.5}, {{"cups", 2}}};
    Process by_function({.start_method = method}, take_purchase, order, total);
    by_function.start();
    by_function.join();
    CHECK(by_function.exitcode() == 0);
    CHECK(total.get() == 8.5);

    // Larger than a message, and than what is copied into one.
    const std::string text(300'000, 'x');
    Array<double> numbers({500'000});
    numbers.fill(2);
    int captured = 7;  // no constant, which would not be captured
    Process by_lambda(
        {.start_method = method},
        [captured](const std::string& s, Array<const double> n, const SharedValue<double>& to,
                   const char* word) {
          to.set(static_cast<double>(s.size()) + n[499'999] + captured + word[0]);
        },
        text, Array<const double>(numbers), total, "a");
    by_lambda.start();
    by_lambda.join();
    CHECK(by_lambda.exitcode() == 0);
    CHECK(total.get() == 300'000 + 2 + 7 + 'a');

    auto owned = std::make_unique<int>(4);
    Process by_move(
        {.start_method = method},
        [](std::unique_ptr<int> p, const SharedValue<double>& to) { to.set(*p); }, std::move(owned),
        total);
    by_move.start();
    by_move.join();
    CHECK(total.get() == 4);
  }
}

TEST_CASE("locks, events, conditions and arrays are the same in a process") {
  for (const StartMethod method : all_methods) {
    CAPTURE(static_cast<int>(method));
    const Lock lock;
    const Event ready;
    const SharedArray<int> both(2, {.lock = false});
    const auto memory = Array<int>::shared({1000});
    const auto count = [](const Lock& guard, const Event& event, const SharedArray<int>& numbers,
                          const Array<int>& block) {
      event.wait();
      for (int i = 0; i < 1000; ++i) {
        const std::lock_guard held(guard);
        numbers[0] = numbers[0] + 1;
        numbers[1] = numbers[1] + 1;
      }
      block[999] = 5;
    };
    std::vector<Process> processes;
    for (int i = 0; i < 3; ++i) {
      processes.emplace_back(ProcessOptions{.start_method = method}, count, lock, ready, both,
                             memory);
      processes.back().start();
    }
    ready.set();
    for (Process& process : processes) {
      process.join();
      CHECK(process.exitcode() == 0);
    }
    CHECK(both[0] == 3000);
    CHECK(both[1] == 3000);
    CHECK(memory[999] == 5);
  }
}

TEST_CASE("fork takes any function with any captures") {
  int here = 5;
  const SharedValue<int> seen(0);
  std::thread never_copied;  // which could not travel
  Process process({.start_method = StartMethod::fork}, [&] {
    seen.set(here + (never_copied.joinable() ? 1 : 0));
    here = 6;
  });
  process.start();
  process.join();
  CHECK(process.exitcode() == 0);
  CHECK(seen.get() == 5);
  CHECK(here == 5);
}

TEST_CASE("what can't travel is named, and the process can be started by fork instead") {
  for (const StartMethod method : {StartMethod::spawn, StartMethod::forkserver}) {
    int here = 0;
    Process captures({.start_method = method}, [&here] { ++here; });
    CHECK_THROWS_WITH_AS(captures.start(), doctest::Contains("callable"), CannotTravel);
    CHECK_FALSE(captures.is_alive());
    captures.set_options({.start_method = StartMethod::fork});
    captures.start();
    captures.join();
    CHECK(captures.exitcode() == 0);

    int counter = 0;
    Process writes({.start_method = method}, [](int& n) { ++n; }, std::ref(counter));
    CHECK_THROWS_WITH_AS(writes.start(), doctest::Contains("argument 1"), CannotTravel);
  }
}

TEST_CASE("a fork is refused while other threads run, unless forced") {
  std::atomic<bool> stop{false};
  std::jthread other([&] {
    while (!stop) std::this_thread::sleep_for(1ms);
  });
  const SharedValue<int> sum(0);
  Process process({.start_method = StartMethod::fork}, add, sum, 1, 2);
  CHECK_THROWS_WITH_AS(process.start(), doctest::Contains("spawn"), BadArgument);
  process.set_options({.start_method = StartMethod::fork, .force_fork = true});
  process.start();
  process.join();
  CHECK(sum.get() == 3);
  stop = true;
}

TEST_CASE("exit codes: what exit() was given, minus the signal, or 1 for an exception") {
  for (const StartMethod method : all_methods) {
    CAPTURE(static_cast<int>(method));
    const auto code_of = [method](auto work) {
      Process process({.start_method = method}, work);
      process.start();
      process.join();
      return process.exitcode();
    };
    CHECK(code_of([] { return 5; }) == 0);
    CHECK(code_of([] { std::exit(0); }) == 0);
    CHECK(code_of([] { std::exit(7); }) == 7);
    CHECK(code_of([] { std::exit(300); }) == 300 - 256);
    CHECK(code_of([] { ::_exit(9); }) == 9);
    CHECK(code_of([] { std::quick_exit(10); }) == 10);
    CHECK(code_of([] { std::thread([] { std::exit(11); }).join(); }) == 11);
    CHECK(code_of([] { ::raise(SIGKILL); }) == -SIGKILL);
    CHECK(code_of([] { ::raise(SIGTERM); }) == -SIGTERM);
  }
}

TEST_CASE("terminate and kill end a process that sleeps") {
  for (const StartMethod method : all_methods) {
    CAPTURE(static_cast<int>(method));
    Process asked({.start_method = method}, sleep_for_ever);
    asked.start();
    CHECK(asked.is_alive());
    CHECK_FALSE(asked.join(0s));
    CHECK_FALSE(asked.join(-1s));
    CHECK_FALSE(asked.join(20ms));
    CHECK_FALSE(asked.exitcode().has_value());
    asked.terminate();
    CHECK(asked.join(10s));
    CHECK(asked.exitcode() == -SIGTERM);
    Process killed({.start_method = method}, sleep_for_ever);
    killed.start();
    killed.kill();
    CHECK(killed.join(10s));
    CHECK(killed.exitcode() == -SIGKILL);
  }
}

TEST_CASE("a program's signal handlers are not in effect in a child, ignored signals are") {
  const auto before = std::signal(SIGTERM, [](int) {});
  const auto ignored = std::signal(SIGHUP, SIG_IGN);
  const auto ignored_pipes = std::signal(SIGPIPE, SIG_IGN);
  forkserver_preload([] {});  // for a server that ignores it
  for (const StartMethod method : all_methods) {
    CAPTURE(static_cast<int>(method));
    Process process({.start_method = method}, [] {
      ::raise(SIGHUP);
      ::raise(SIGPIPE);
      sleep_for_ever();
    });
    process.start();
    CHECK_FALSE(process.join(30ms));
    process.terminate();
    CHECK(process.join(10s));
    CHECK(process.exitcode() == -SIGTERM);
  }
  std::signal(SIGTERM, before);
  std::signal(SIGHUP, ignored);
  std::signal(SIGPIPE, ignored_pipes);
}

TEST_CASE("a child looks after no process that its parent has started") {
  const Event end;
  Process sibling({.name = "sibling"}, [](const Event& e) { e.wait(); }, end);
  sibling.start();
  const ProcessInfo info = active_children().front();
  Process child({.start_method = StartMethod::fork}, [info] {
    const auto refuses = [](const auto& call) {
      try {
        call();
        return false;
      } catch (const BadArgument&) {
        return true;
      }
    };
    const bool all = refuses([&] { (void)info.is_alive(); }) && refuses([&] { info.join(); }) &&
                     refuses([&] { info.terminate(); }) && refuses([&] { info.kill(); }) &&
                     refuses([&] { (void)info.sentinel(); });
    std::exit(all ? 0 : 1);
  });
  child.start();
  child.join();
  CHECK(child.exitcode() == 0);
  end.set();
  sibling.join();
  CHECK(sibling.exitcode() == 0);
}

TEST_CASE("variables that can't be in an environment are refused, by every way to start") {
  for (const StartMethod method : all_methods) {
    for (const char* name : {"", "A=B"}) {
      Process process({.start_method = method, .env = {{name, "x"}}}, [] {});
      CHECK_THROWS_AS(process.start(), BadArgument);
    }
    Process process({.start_method = method, .env = {{"A", std::string("b\0c", 3)}}}, [] {});
    CHECK_THROWS_AS(process.start(), BadArgument);
  }
}

TEST_CASE("exit codes are right in a program that ignores SIGCHLD or collects all children") {
  for (const bool collects : {false, true}) {
    CAPTURE(collects);
    struct sigaction before{};
    struct sigaction action{};
    action.sa_handler = SIG_IGN;
    if (collects) {
      action.sa_handler = [](int) {
        const int error = errno;
        while (::waitpid(-1, nullptr, WNOHANG) > 0) {
        }
        errno = error;
      };
      action.sa_flags = SA_RESTART;
    }
    ::sigaction(SIGCHLD, &action, &before);
    for (const StartMethod method : all_methods) {
      CAPTURE(static_cast<int>(method));
      Process ends({.start_method = method}, [] { std::exit(4); });
      Process sleeps({.start_method = method}, sleep_for_ever);
      ends.start();
      sleeps.start();
      ends.join();
      CHECK(ends.exitcode() == 4);
      sleeps.kill();
      CHECK(sleeps.join(10s));
      CHECK_FALSE(sleeps.is_alive());
      // Only newer systems tell what somebody else has collected.
      const auto code = sleeps.exitcode();
      CHECK((code == -SIGKILL || code == 255));
    }
    ::sigaction(SIGCHLD, &before, nullptr);
  }
}

TEST_CASE("the sentinel is readable from the end on") {
  for (const StartMethod method : all_methods) {
    CAPTURE(static_cast<int>(method));
    const Event end;
    Process process({.start_method = method}, [](const Event& event) { event.wait(); }, end);
    process.start();
    pollfd watched{process.sentinel(), POLLIN, 0};
    CHECK(::poll(&watched, 1, 0) == 0);
    end.set();
    CHECK(::poll(&watched, 1, 10'000) == 1);
    CHECK_FALSE(process.is_alive());
    CHECK(process.sentinel() == watched.fd);
    CHECK(::poll(&watched, 1, 0) == 1);
  }
}

TEST_CASE("close releases a process that has ended, and no other") {
  for (const StartMethod method : all_methods) {
    CAPTURE(static_cast<int>(method));
    Process process({.start_method = method}, sleep_for_ever);
    process.start();
    CHECK_THROWS_AS(process.close(), BadArgument);
    CHECK(process.is_alive());
    const int descriptor = process.sentinel();
    process.kill();
    process.join();
    process.close();
    CHECK(::fcntl(descriptor, F_GETFD) == -1);
    CHECK_THROWS_AS(process.join(), BadArgument);
    CHECK_THROWS_AS((void)process.is_alive(), BadArgument);
    CHECK_THROWS_AS((void)process.exitcode(), BadArgument);
    CHECK_THROWS_AS((void)process.pid(), BadArgument);
    CHECK_THROWS_AS((void)process.name(), BadArgument);
    CHECK_THROWS_AS((void)process.sentinel(), BadArgument);
    CHECK_THROWS_AS(process.start(), BadArgument);
    CHECK_THROWS_AS(process.terminate(), BadArgument);
    CHECK_THROWS_AS(process.close(), BadArgument);
  }
}

TEST_CASE("several threads wait for one process") {
  for (const StartMethod method : {StartMethod::spawn, StartMethod::forkserver}) {
    CAPTURE(static_cast<int>(method));
    const Event end;
    Process process(
        {.start_method = method},
        [](const Event& event) {
          event.wait();
          std::exit(6);
        },
        end);
    process.start();
    std::atomic<int> right{0};
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < 8; ++i) {
        threads.emplace_back([&, i] {
          const bool ended = i % 2 == 0 ? process.join(10s) : (process.join(), true);
          if (ended && process.exitcode() == 6) ++right;
        });
      }
      end.set();
    }
    CHECK(right == 8);
  }
}

TEST_CASE("a process can be moved before and after its start") {
  for (const StartMethod method : all_methods) {
    CAPTURE(static_cast<int>(method));
    const SharedValue<int> sum(0);
    Process first({.name = "moved", .start_method = method}, add, sum, 1, 1);
    Process second(std::move(first));
    CHECK_THROWS_AS(first.start(), BadArgument);  // NOLINT: what is moved from says so
    second.start();
    const int pid = second.pid();
    Process third({.start_method = method}, sleep_for_ever);
    third = std::move(second);
    CHECK(third.pid() == pid);
    CHECK(third.name() == "moved");
    third.join();
    CHECK(third.exitcode() == 0);
    CHECK(sum.get() == 2);
  }
}

TEST_CASE("destroying a process waits for it, and terminates a daemon") {
  for (const StartMethod method : all_methods) {
    CAPTURE(static_cast<int>(method));
    const SharedValue<int> sum(0);
    {
      Process(ProcessOptions{.start_method = method}, add, sum, 4, 5).start();
    }
    CHECK(sum.get() == 9);
    int pid = 0;
    {
      Process daemon({.daemon = true, .start_method = method}, sleep_for_ever);
      CHECK(daemon.daemon());
      daemon.start();
      pid = daemon.pid();
    }
    CHECK(support::is_gone(pid));
    const SharedValue<int> armed(0);
    const auto start = std::chrono::steady_clock::now();
    {
      Process stubborn(
          {.daemon = true, .start_method = method},
          [](const SharedValue<int>& on) {
            std::signal(SIGTERM, SIG_IGN);
            on.set(1);
            sleep_for_ever();
          },
          armed);
      stubborn.start();
      pid = stubborn.pid();
      CHECK(within(10s, [&] { return armed.get() == 1; }));
    }
    CHECK(support::is_gone(pid));
    CHECK(std::chrono::steady_clock::now() - start < 10s);
  }
}

TEST_CASE("active_children has the children that run") {
  CHECK(active_children().empty());
  for (const StartMethod method : all_methods) {
    CAPTURE(static_cast<int>(method));
    const Event end;
    Process waits({.name = "waits", .start_method = method}, [](const Event& e) { e.wait(); }, end);
    Process ends({.start_method = method}, [] {});
    waits.start();
    ends.start();
    CHECK(within(10s, [] { return active_children().size() == 1; }));
    ProcessInfo child = active_children().front();
    CHECK(child.name() == "waits");
    CHECK(child.pid() == waits.pid());
    CHECK_FALSE(child.daemon());
    CHECK(child.is_alive());
    CHECK_FALSE(child.join(1ms));
    child.kill();
    child.join();
    CHECK(child.exitcode() == -SIGKILL);
    CHECK(waits.exitcode() == -SIGKILL);
    CHECK(ends.exitcode() == 0);
    CHECK(active_children().empty());
  }
}

TEST_CASE("names are numbered as Python numbers them") {
  CHECK(current_process().name() == "MainProcess");
  CHECK(current_process().pid() == ::getpid());
  CHECK_FALSE(current_process().daemon());
  CHECK_FALSE(parent_process().has_value());
  for (const StartMethod method : all_methods) {
    CAPTURE(static_cast<int>(method));
    const support::TempDir folder;
    const std::string file = (folder.path() / "names").string();
    const auto tell = [](const std::string& path, StartMethod how) {
      const auto write = [](const std::string& to) {
        std::ofstream(to, std::ios::app)
            << current_process().name() << " of " << parent_process()->name() << "\n";
      };
      write(path);
      for (int i = 0; i < 2; ++i) {
        Process child({.start_method = how}, write, path);
        child.start();
        child.join();
      }
    };
    Process process({.start_method = method}, tell, file, method);
    const std::string name = process.name();
    CHECK(name.starts_with("Process-"));
    process.start();
    process.join();
    std::stringstream all;
    all << std::ifstream(file).rdbuf();
    CHECK(all.str() == name + " of MainProcess\n" + name + ":1 of " + name + "\n" + name +
                           ":2 of " + name + "\n");
  }
}
