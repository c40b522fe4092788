// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/cpu_count.hpp>
#include <hoist/error.hpp>
#include <hoist/parallel.hpp>
#include <hoist/parallel_config.hpp>

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <list>
#include <memory>
#include <mutex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>

using namespace hoist;
using namespace std::chrono_literals;

namespace {
int square(int x) { return x * x; }
std::string greet(const std::string& name) { return "hello " + name; }
}  // namespace

TEST_CASE("results come in the order of the input, whatever the input is") {
  const Parallel parallel({.n_jobs = 3});
  std::vector<int> expected;
  for (int i = 0; i < 1000; ++i) expected.push_back(i * i);

  CHECK(parallel.map(std::views::iota(0, 1000), square) == expected);
  CHECK(parallel(std::views::iota(0, 1000) |
                 std::views::transform([](int i) { return delayed(square)(i); })) == expected);
  std::vector<decltype(delayed(square)(1))> tasks;
  for (int i = 0; i < 1000; ++i) tasks.push_back(delayed(square)(i));
  CHECK(parallel(tasks) == expected);
  std::list<int> list(1000);
  std::iota(list.begin(), list.end(), 0);
  CHECK(parallel.map(list, square) == expected);
  std::istringstream text("1 2 3 4");
  CHECK(parallel.map(std::ranges::istream_view<int>(text), square) == std::vector{1, 4, 9, 16});
}

TEST_CASE("calls of different types give a tuple") {
  const auto [a, b, c] =
      Parallel({.n_jobs = 2})(delayed(square)(7), delayed(greet)("you"), delayed([] {})());
  CHECK(a == 49);
  CHECK(b == "hello you");
  static_assert(std::is_same_v<decltype(c), const std::monostate>);
  // Also of one call whose result is itself a tuple.
  const auto [pair] = Parallel({.n_jobs = 2})(delayed([] { return std::pair(1, 2); })());
  CHECK(pair == std::pair(1, 2));
}

TEST_CASE("results of all kinds: bool, move-only, without a default") {
  const Parallel parallel({.n_jobs = 2});
  const auto numbers = std::views::iota(0, 100);
  const std::vector<bool> odd = parallel.map(numbers, [](int i) { return i % 2 == 1; });
  CHECK(odd[1]);
  CHECK(!odd[2]);
  const auto pointers = parallel.map(numbers, [](int i) { return std::make_unique<int>(i); });
  CHECK(*pointers[42] == 42);
  struct NoDefault {
    explicit NoDefault(int v) : value(v) {}
    int value;
  };
  CHECK(parallel.map(numbers, [](int i) { return NoDefault(i); })[7].value == 7);
  struct NotAssignable {
    const int value;
  };
  int sum = 0;
  for (const auto& one : parallel.generator(numbers, [](int i) { return NotAssignable{i}; })) {
    sum += one.value;
  }
  CHECK(sum == 4950);
}

TEST_CASE("threads see and change the caller's data") {
  std::vector<int> values(1000, 1);
  Parallel({.n_jobs = 2}).for_each(values, [](int& v) { v += 1; });
  CHECK(std::accumulate(values.begin(), values.end(), 0) == 2000);
  int sum = 0;
  auto call = delayed([](std::reference_wrapper<int> s) { s.get() += 5; })(std::ref(sum));
  Parallel({.n_jobs = 2})(std::vector{call});
  CHECK(sum == 5);
}

TEST_CASE("arguments that can only be moved") {
  auto take = [](std::unique_ptr<int> p) { return *p; };
  const auto [a, b] =
      Parallel({.n_jobs = 2})(delayed(take)(std::make_unique<int>(3)), delayed(square)(2));
  CHECK(a == 3);
  CHECK(b == 4);
}

TEST_CASE("const tasks stay as they are") {
  // They had been called as if they were not const.
  struct Counting {
    int calls = 0;
    int operator()(std::vector<int>& values) {
      values.push_back(++calls);
      return static_cast<int>(values.size());
    }
  };
  const std::vector calls(3, delayed(Counting{})(std::vector<int>{1}));
  const auto one = delayed(Counting{})(std::vector<int>{1, 2});
  const auto name = delayed(greet)(std::string("you"));
  for (int round = 0; round < 2; ++round) {
    CHECK(Parallel({.n_jobs = 2})(calls) == std::vector{2, 2, 2});
    const auto [length, text] = Parallel({.n_jobs = 2})(one, name);
    CHECK(length == 3);
    CHECK(text == "hello you");
    for (const int value : Parallel({.n_jobs = 2}).generator(calls)) CHECK(value == 2);
  }
}

TEST_CASE("a generator refers to the range and the function that are no temporaries") {
  struct Adds {
    std::unique_ptr<int> summand;  // not copyable
    int operator()(int& x) const { return x += *summand; }
  };
  const Adds adds{std::make_unique<int>(10)};
  std::vector values{1, 2, 3};
  int sum = 0;
  for (const int value : Parallel({.n_jobs = 2}).generator(values, adds)) sum += value;
  CHECK(sum == 36);
  CHECK(values == std::vector{11, 12, 13});
  for (const int value : Parallel().generator(values, Adds{std::make_unique<int>(1)})) sum += value;
  CHECK(sum == 75);
}

TEST_CASE("an outcome is used as a std::expected") {
  auto outcomes = Parallel({.n_jobs = 2}).map_outcomes(std::views::iota(0, 6), [](int i) {
    if (i == 1) throw std::out_of_range("one");
    if (i == 2) throw std::string("two");
    if (i == 3) throw "three";
    if (i == 4) throw 42;
    return std::string("text ") + std::to_string(i);
  });
  static_assert(std::is_same_v<decltype(outcomes)::value_type::value_type, std::string>);
  REQUIRE(outcomes[0]);
  CHECK(*outcomes[0] == "text 0");
  CHECK(outcomes[0]->size() == 6);
  CHECK(std::as_const(outcomes[0])->size() == 6);
  CHECK(outcomes[0].value_or("none") == "text 0");
  CHECK(outcomes[0].message().empty());
  CHECK(outcomes[1].value_or("none") == "none");
  CHECK(outcomes[1].message() == "one");
  CHECK(outcomes[2].message() == "two");
  CHECK(outcomes[3].message() == "three");
  CHECK(outcomes[4].message() == "an exception of type int");
  CHECK(*std::move(outcomes[0]) == "text 0");
  const std::string moved = std::move(outcomes[5]).value_or("none");
  CHECK(moved == "text 5");
  CHECK(outcomes[5]->empty());

  const auto no_results = Parallel({.n_jobs = 2}).map_outcomes(std::views::iota(0, 2), [](int i) {
    if (i == 1) throw std::runtime_error("fails");
  });
  CHECK(no_results[0].has_value());
  *no_results[0];
  no_results[0].value();
  CHECK(no_results[1].message() == "fails");
  CHECK_THROWS_AS(no_results[1].value(), std::runtime_error);
}

TEST_CASE("what LoopErrors says ends with the first failure, whatever was thrown") {
  const Parallel parallel({.n_jobs = 2, .on_error = OnError::finish});
  CHECK_THROWS_WITH_AS(parallel.for_each(std::views::iota(0, 3),
                                         [](int i) {
                                           if (i == 1) throw i;
                                         }),
                       "1 of 3 tasks failed; the first is task 1: an exception of type int",
                       LoopErrors);
}

TEST_CASE("who waits for the next result of a generator with a time limit may try again") {
  const auto nap = [](int ms) {
    std::this_thread::sleep_for(std::chrono::milliseconds(ms));
    return ms;
  };
  for (const char* const backend : {"threads", "fork", "spawn"}) {
    CAPTURE(backend);
    const std::vector<int> times(4, 200);
    auto naps = Parallel({.n_jobs = 2, .backend = backend}).generator(times, nap);
    int taken = 0;
    int late = 0;
    for (bool ended = false; !ended;) {
      try {
        ended = !naps.next(std::chrono::milliseconds(5)).has_value();
        if (!ended) ++taken;
      } catch (const TimedOut& error) {
        CHECK(std::string(error.what()).find("next()") != std::string::npos);
        ++late;
      }
    }
    CHECK(taken == 4);
    // A thread that waits for results of a loop on threads runs tasks of it.
    if (std::string(backend) != "threads") CHECK(late > 0);
    CHECK_FALSE(naps.next().has_value());
  }
}

TEST_CASE("a generator may be moved while it is iterated") {
  std::vector<decltype(delayed(square)(1))> calls;
  for (int i = 0; i < 50; ++i) calls.push_back(delayed(square)(i));
  for (const char* backend : {"sequential", "threads", "fork", "spawn"}) {
    CAPTURE(backend);
    auto first = Parallel({.n_jobs = 2, .backend = backend}).generator(calls);
    auto at = first.begin();
    CHECK(*at == 0);
    ++at;
    // The iterator had referred to the generator that is gone.
    auto second = std::make_unique<decltype(first)>(std::move(first));
    auto third = std::move(*second);
    second.reset();
    int sum = 0;
    for (; at != third.end(); ++at) sum += *at;
    CHECK(sum == 40425);
  }
}

TEST_CASE("an empty input gives an empty result") {
  CHECK(Parallel().map(std::vector<int>{}, square).empty());
  CHECK(Parallel()(std::vector<decltype(delayed(square)(1))>{}).empty());
  for (const int x : Parallel().generator(std::vector<decltype(delayed(square)(1))>{})) CHECK(x);
}

TEST_CASE("options that can't be meant are refused") {
  const auto run = [](ParallelOptions options) {
    return Parallel(std::move(options)).map(std::views::iota(0, 3), square);
  };
  CHECK_THROWS_AS(run({.n_jobs = 0}), BadArgument);
  CHECK_THROWS_WITH_AS(run({.backend = "thread"}), doctest::Contains("sequential"), BadArgument);
  CHECK_THROWS_AS(Parallel({.backend = "thread"}), BadArgument);
  CHECK_THROWS_AS(run({.batch_size = 0}), BadArgument);
  CHECK_THROWS_AS(run({.batch_size = -2}), BadArgument);
  CHECK_THROWS_AS(run({.timeout = 0}), BadArgument);
  CHECK_THROWS_AS(run({.timeout = -1s}), BadArgument);
  CHECK_THROWS_AS(run({.timeout = std::nan("")}), BadArgument);
  // Such limits had overflowed, so every loop timed out at once.
  for (const TimeLimit limit :
       {TimeLimit(HUGE_VAL), TimeLimit(1e300), TimeLimit(std::chrono::hours::max())}) {
    for (const char* backend : {"threads", "fork", "spawn"}) {
      CHECK(
          run({.n_jobs = 2, .backend = backend, .timeout = limit, .task_timeout = limit}).size() ==
          3);
    }
  }
  for (const char* name : {"", "A=B"}) {
    CHECK_THROWS_WITH_AS(run({.workers = {.env = {{name, "x"}}}}), doctest::Contains(name),
                         BadArgument);
  }
  CHECK_THROWS_AS(run({.workers = {.idle_timeout = -1ms}}), BadArgument);
  for (const char* text : {"", "n_jobs +", "2*cores", "n_jobs/0", "__import__", "10**9", "(1", "0",
                           "n_jobs - n_jobs", "1 2"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(run({.n_jobs = 2, .pre_dispatch = text}), BadArgument);
  }
  for (const char* text : {"all", "n_jobs", "1.5*n_jobs", "2**n_jobs % 3 + 1", "-(-3)", "7//2"}) {
    CAPTURE(text);
    CHECK(run({.n_jobs = 2, .pre_dispatch = text}).size() == 3);
  }
  CHECK_THROWS_AS(run({.prefer = Prefer::processes, .require = Require::shared_memory}),
                  BadArgument);
}

TEST_CASE("n_jobs counts from the usable cores") {
  const int cores = cpu_count();
  CHECK(effective_n_jobs() == cores);
  CHECK(effective_n_jobs(7) == 7);
  CHECK(effective_n_jobs(-2) == std::max(1, cores - 1));
  CHECK(effective_n_jobs(-1000) == 1);
  CHECK_THROWS_AS(effective_n_jobs(0), BadArgument);
}

TEST_CASE("ParallelConfig gives defaults to the loops of its scope") {
  {
    const ParallelConfig outer{{.n_jobs = 3}};
    CHECK(effective_n_jobs() == 3);
    {
      const ParallelConfig inner{{.backend = "sequential"}};
      CHECK(effective_n_jobs() == 1);
      std::set<std::thread::id> ids;
      Parallel().for_each(std::views::iota(0, 10),
                          [&](int) { ids.insert(std::this_thread::get_id()); });
      CHECK(ids.size() == 1);
    }
    std::thread([] { CHECK(effective_n_jobs() == cpu_count()); }).join();
    CHECK(effective_n_jobs(5) == 5);
    CHECK(effective_n_jobs(-1) == cpu_count());
  }
  CHECK(effective_n_jobs() == cpu_count());
  CHECK_THROWS_AS(ParallelConfig({.backend = "nobody"}), BadArgument);
  // Options without effect in a scope had been ignored silently.
  CHECK_THROWS_WITH_AS(ParallelConfig({.retries = 3}), doctest::Contains("retries"), BadArgument);
  CHECK_THROWS_WITH_AS(ParallelConfig({.workers = {.max_tasks = 1}}), doctest::Contains("workers"),
                       BadArgument);
}

TEST_CASE("what an inner scope or a loop sets precedes an outer scope, also if it is the default") {
  const auto on_threads = [](const ParallelOptions& options) {
    const auto here = ::getpid();
    const auto pids = Parallel(options).map(std::views::iota(0, 2), [](int) { return ::getpid(); });
    return pids[0] == here;
  };
  const ParallelConfig outer{{.n_jobs = 2,
                              .prefer = Prefer::processes,
                              .timeout = 0.05,
                              .task_timeout = 0.05,
                              .verbose = 1,
                              .max_nbytes = 100,
                              .mmap_mode = MmapMode::read}};
  CHECK(!on_threads({.timeout = std::nullopt, .task_timeout = std::nullopt, .verbose = 0}));
  CHECK(on_threads({.prefer = Prefer::none, .verbose = 0}));
  CHECK(on_threads({.require = Require::shared_memory, .verbose = 0}));
  const auto sleep = [](int i) {
    std::this_thread::sleep_for(100ms);
    return i;
  };
  const auto run = [&](ParallelOptions options) {
    options.prefer = Prefer::none;
    return Parallel(std::move(options)).map(std::views::iota(0, 1), sleep).size();
  };
  CHECK_THROWS_AS(run({.task_timeout = std::nullopt, .verbose = 0}), TimedOut);
  CHECK_THROWS_AS(run({.timeout = std::nullopt, .verbose = 0}), TimedOut);
  CHECK(run({.timeout = std::nullopt, .task_timeout = std::nullopt, .verbose = 0}) == 1);
  {
    const ParallelConfig inner{{.prefer = Prefer::none,
                                .timeout = std::nullopt,
                                .task_timeout = std::nullopt,
                                .verbose = 0,
                                .max_nbytes = ByteSize(std::size_t{1} << 20),
                                .mmap_mode = MmapMode::copy_on_write}};
    CHECK(on_threads({}));
    CHECK(Parallel().map(std::views::iota(0, 1), sleep).size() == 1);
    // A task that could write to an array that is mapped read-only would be an error.
    const auto add = [](const Array<double>& array) { return array[0] += 1; };
    const auto array = Array<double>({100});
    CHECK(std::get<0>(Parallel({.backend = "spawn"})(delayed(add)(array))) == 1);
    CHECK_THROWS_AS(Parallel({.backend = "spawn", .max_nbytes = 100, .mmap_mode = MmapMode::read})(
                        delayed(add)(array)),
                    BadArgument);
  }
}

TEST_CASE("options read as plain values") {
  const ParallelOptions options{.verbose = 3, .mmap_mode = MmapMode::read};
  const int verbose = options.verbose;
  CHECK(verbose == 3);
  CHECK(options.mmap_mode == MmapMode::read);
  CHECK(!options.prefer.is_set());
  CHECK(*options.max_nbytes == ByteSize("1M"));
}

TEST_CASE("nested loops: a share of the cores, then none, and no end is an error") {
  const auto inner =
      Parallel({.n_jobs = 2, .backend = "threads"}).map(std::views::iota(0, 4), [](int) {
        return effective_n_jobs();
      });
  CHECK(inner[0] == std::max(1, cpu_count() / 2));
  const auto sums = Parallel({.n_jobs = 4}).map(std::views::iota(0, 20), [](int i) {
    const auto values = Parallel({.n_jobs = 4}).map(std::views::iota(0, 20), [i](int j) {
      const auto deepest = Parallel({.n_jobs = 4}).map(std::views::iota(0, 5), square);
      return i + j + static_cast<int>(deepest.size());
    });
    return std::accumulate(values.begin(), values.end(), 0);
  });
  CHECK(sums[2] == 20 * 2 + 190 + 100);
  std::function<int(int)> endless = [&](int i) {
    return Parallel({.n_jobs = 2}).map(std::views::iota(0, 2), endless)[0] + i;
  };
  CHECK_THROWS_WITH_AS(endless(1), doctest::Contains("nested"), BadArgument);
}

TEST_CASE("many threads use Parallel at once") {
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int t = 0; t < 64; ++t) {
    threads.emplace_back([&, t] {
      const auto values =
          Parallel({.n_jobs = 2}).map(std::views::iota(0, 200), [t](int i) { return i * t; });
      if (values[199] == 199 * t) ++right;
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(right == 64);
}
