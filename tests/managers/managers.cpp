// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/listener.hpp>
#include <hoist/manager.hpp>
#include <hoist/parallel.hpp>
#include <hoist/process.hpp>
#include <hoist/register_error.hpp>

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <latch>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/child.hpp"
#include "support/temp_dir.hpp"

using namespace hoist;
using namespace std::chrono_literals;

namespace {

/// Has no other operator.
struct Rank {
  int value = 0;
  bool operator<(const Rank& other) const { return value < other.value; }
};

/// No value: it is never copied or sent.
class Counter {
 public:
  explicit Counter(long start) : count_(start) {}
  Counter(const Counter&) = delete;
  Counter& operator=(const Counter&) = delete;
  virtual ~Counter() = default;

  long add(long n) { return count_ += n; }
  long count() const { return count_; }
  virtual std::string name() const { return "counter"; }
  int server() const { return ::getpid(); }
  void fail(const std::string& text) { throw std::out_of_range(text); }
  [[noreturn]] void crash() { std::abort(); }
  void sleep() { std::this_thread::sleep_for(std::chrono::seconds(60)); }

 private:
  long count_;
};

class Named : public Counter {
 public:
  Named() : Counter(0) {}
  std::string name() const override { return "named"; }
};

int count_words(const DictProxy<std::string, int>& counts, const std::string& word, int times) {
  for (int i = 0; i < times; ++i) {
    counts.call([](std::map<std::string, int>& map, const std::string& it) { ++map[it]; }, word);
  }
  return times;
}

struct CountUp {
  ValueProxy<int> count;
  void operator()() const { count.set(count.get() + 1); }
};

/// Whether it becomes true in time.
template <class Condition>
bool soon(const Condition& condition) {
  for (int i = 0; i < 2000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

}  // namespace

TEST_CASE("a managed dict is as a map") {
  const Manager manager;
  const auto dict = manager.dict<std::string, std::vector<int>>();
  CHECK(dict.size() == 0);
  dict.set("a", {1, 2});
  dict.set("b", {});
  dict.set("a", {3});
  CHECK(dict.get("a") == std::vector{3});
  CHECK(dict.get("c", {7}) == std::vector{7});
  CHECK_THROWS_AS(dict.get("c"), NotFound);
  CHECK(dict.contains("b"));
  CHECK_FALSE(dict.contains("c"));
  CHECK(dict.keys() == std::vector<std::string>{"a", "b"});
  CHECK(dict.erase("b"));
  CHECK_FALSE(dict.erase("b"));
  dict.update({{"x", {1}}, {"a", {4}}});
  CHECK(dict.items() == std::map<std::string, std::vector<int>>{{"a", {4}}, {"x", {1}}});
  CHECK(dict.setdefault("x", {9}) == std::vector{1});
  CHECK(dict.setdefault("y", {9}) == std::vector{9});
  CHECK(dict.pop("y") == std::vector{9});
  CHECK_THROWS_AS(dict.pop("y"), NotFound);
  dict.clear();
  CHECK(dict.size() == 0);
}

TEST_CASE("lists, arrays, values and namespaces are managed") {
  const Manager manager;
  const auto list = manager.list<std::string>({"one"});
  list.append("two");
  list.extend({"three", "four"});
  CHECK(list.size() == 4);
  CHECK(list.at(1) == "two");
  list.set(1, "zwei");
  CHECK(list.slice(1, 3) == std::vector<std::string>{"zwei", "three"});
  CHECK(list.slice(3, 9) == std::vector<std::string>{"four"});
  CHECK(list.pop() == "four");
  CHECK(list.size() == 3);
  CHECK_THROWS_AS(list.at(3), BadArgument);
  list.insert(3, "last");
  list.insert(0, "first");
  list.erase(1);
  CHECK(list.items() == std::vector<std::string>{"first", "zwei", "three", "last"});
  CHECK_THROWS_AS(list.insert(5, ""), BadArgument);
  list.clear();
  CHECK(list.size() == 0);
  CHECK_THROWS_AS(manager.list<int>().pop(), BadArgument);

  const auto array = manager.array<double>(3);
  array.set(2, 1.5);
  CHECK(array.items() == std::vector<double>{0, 0, 1.5});
  CHECK_THROWS_AS(array.set(3, 1), BadArgument);

  const auto value = manager.value<std::string>("before");
  value.set("after");
  CHECK(value.get() == "after");

  const auto ns = manager.ns();
  ns.set("x", 1.5);
  ns.set("name", std::string("n"));
  CHECK(ns.get<double>("x") == 1.5);
  CHECK(ns.get<std::string>("name") == "n");
  CHECK_THROWS_AS(ns.get<int>("x"), WrongType);
  CHECK_THROWS_AS(ns.get<int>("y"), NotFound);
  CHECK(ns.contains("x"));
  CHECK(ns.erase("x"));
  CHECK_FALSE(ns.contains("x"));
}

TEST_CASE("a managed list is sorted") {
  const Manager manager;
  const auto list = manager.list<std::string>({"pear", "fig", "apple"});
  list.sort();
  CHECK(list.items() == std::vector<std::string>{"apple", "fig", "pear"});
  list.sort([](const std::string& a, const std::string& b) { return a.size() < b.size(); });
  CHECK(list.at(0) == "fig");
  list.reverse();
  CHECK(list.at(2) == "fig");
  const auto ranks = manager.list<Rank>({{3}, {1}});
  ranks.sort();  // could not be compiled
  CHECK(ranks.at(0).value == 1);
  const auto truths = manager.list<bool>({true, false, true});
  truths.sort();
  CHECK(truths.items() == std::vector<bool>{false, true, true});
  truths.reverse();
  truths.sort([](bool a, bool b) { return a && !b; });
  CHECK(truths.items() == std::vector<bool>{true, true, false});
}

TEST_CASE("a managed lock is waited for until any time") {
  const Manager manager;
  const auto lock = manager.lock();
  using Clock = std::chrono::system_clock;
  CHECK(lock.try_lock_until(Clock::time_point::max()));
  lock.unlock();
  CHECK(lock.try_lock_until(std::chrono::steady_clock::time_point::max()));
  lock.unlock();
  const Event taken;
  support::Child holder([&] {
    lock.lock();
    taken.set();
    ::pause();
  });
  REQUIRE(taken.wait(20s));
  CHECK_FALSE(lock.try_lock_until(std::chrono::steady_clock::time_point::min()));  // had waited
}

TEST_CASE("any class of the program can be managed, with its errors") {
  const Manager manager;
  const auto counter = manager.make<Counter>(40L);
  CHECK(counter.call(&Counter::add, 2) == 42);
  CHECK(counter.call(&Counter::count) == 42);
  CHECK(counter.call([](Counter& it, int n) { return it.add(n) * 2; }, 8) == 100);
  CHECK(counter.call(&Counter::name) == "counter");
  CHECK(manager.make<Named>().call(&Counter::name) == "named");
  CHECK(counter.call(&Counter::server) == manager.pid());
  CHECK(manager.pid() != ::getpid());
  try {
    counter.call(&Counter::fail, std::string("this text"));
    FAIL("no error came back");
  } catch (const std::out_of_range& error) {
    CHECK(std::string(error.what()) == "this text");
  }
  CHECK(counter.call(&Counter::count) == 50);
}

TEST_CASE("text in quotes is an argument") {
  const Manager manager;
  const auto text = manager.make<std::string>("one");
  text.call([](std::string& it, const std::string& more) { it += more; }, " two");
  CHECK(text.call([](const std::string& it) { return it; }) == "one two");
  CHECK(manager.value("v").get() == "v");
  const auto ns = manager.ns();
  ns.set("name", "Ada");
  CHECK(ns.get<std::string>("name") == "Ada");
  CHECK(manager.array<int>({5, 6}).items() == std::vector{5, 6});
  CHECK(manager.array<int>({5}).size() == 1);
}

TEST_CASE("a function may call its own object, also by way of another") {
  const Manager manager;
  const auto list = manager.list<int>({1});
  const auto grow = [](std::vector<int>&, const ListProxy<int>& self) { self.append(2); };
  list.call(grow, list);
  const auto through = [](std::map<int, int>&, const ListProxy<int>& other) { other.append(3); };
  const auto dict = manager.dict<int, int>();
  list.call([](std::vector<int>&, const DictProxy<int, int>& by, const ListProxy<int>& self,
               const auto& f) { by.call(f, self); },
            dict, list, through);
  CHECK(list.items() == std::vector{1, 2, 3});
}

TEST_CASE("objects that call each other at the same time go on") {
  const Manager manager;
  const auto a = manager.make<Counter>(0L);
  const auto b = manager.make<Counter>(0L);
  // Both are in a call of their own when they call each other.
  const auto add_to = [](Counter& self, const Proxy<Counter>& other) {
    self.add(1);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    other.call(&Counter::add, 10);
    self.add(100);
  };
  constexpr int rounds = 50;
  {
    const auto repeat = [&](const Proxy<Counter>& from, const Proxy<Counter>& to) {
      return std::jthread([&] {
        for (int i = 0; i < rounds; ++i) from.call(add_to, to);
      });
    };
    const auto one = repeat(a, b);
    const auto two = repeat(b, a);
    const auto three = repeat(a, b);
  }
  CHECK(a.call(&Counter::count) == rounds * (2 * 101 + 10));
  CHECK(b.call(&Counter::count) == rounds * (101 + 2 * 10));
}

TEST_CASE("tasks of every backend use proxies, one call after another") {
  const Manager manager;
  for (const std::string backend : {"threads", "fork", "spawn"}) {
    CAPTURE(backend);
    const auto counts = manager.dict<std::string, int>();
    Parallel({.n_jobs = 2, .backend = backend})(
        std::vector{delayed(count_words)(counts, std::string("a"), 200),
                    delayed(count_words)(counts, std::string("b"), 100),
                    delayed(count_words)(counts, std::string("a"), 50)});
    CHECK(counts.items() == std::map<std::string, int>{{"a", 250}, {"b", 100}});
  }
}

TEST_CASE("proxies are stored in managed objects, and keep what they lead to") {
  const Manager manager;
  const auto outer = manager.dict<std::string, ListProxy<int>>();
  outer.set("list", manager.list<int>({1}));
  outer.get("list").append(2);
  const ListProxy<int> inner = outer.get("list");
  CHECK(inner.items() == std::vector{1, 2});
  const auto both = outer.items();
  CHECK(both.at("list").size() == 2);
}

TEST_CASE("an object ends with its last proxy, also when that dies with its process") {
  const Manager manager;
  // Its destruction tells.
  struct Tells {
    Event gone;
    explicit Tells(const Event& event) : gone(event) {}
    ~Tells() { gone.set(); }
  };
  const Event gone;
  {
    const auto proxy = manager.make<Tells>(gone);
    const auto copy = proxy;
    CHECK_FALSE(gone.is_set());
  }
  CHECK(gone.wait(20s));

  const Event killed;
  const Event made;
  support::Child child([&] {
    const auto proxy = manager.make<Tells>(killed);
    made.set();
    ::pause();
  });
  CHECK(made.wait(20s));
  CHECK_FALSE(killed.is_set());
  child.kill();
  CHECK(killed.wait(20s));
}

TEST_CASE("a server that dies is an error at once for whoever calls it") {
  Manager manager;
  const auto counter = manager.make<Counter>(0L);
  const auto list = manager.list<int>();
  std::jthread waits([&] { CHECK_THROWS_AS(counter.call(&Counter::sleep), ManagerDied); });
  std::this_thread::sleep_for(50ms);
  const auto before = std::chrono::steady_clock::now();
  ::kill(manager.pid(), SIGKILL);
  waits.join();
  CHECK_THROWS_AS(list.append(1), ManagerDied);
  CHECK_THROWS_AS(manager.list<int>(), ManagerDied);
  CHECK(std::chrono::steady_clock::now() - before < 10s);
}

TEST_CASE("a call that ends the server is ManagerDied, and a new manager works") {
  {
    const Manager manager;
    const auto counter = manager.make<Counter>(0L);
    CHECK_THROWS_AS(counter.call(&Counter::crash), ManagerDied);
  }
  CHECK(Manager().value(5).get() == 5);
}

TEST_CASE("a manager that is shut down leaves no process, and says so") {
  int pid = 0;
  {
    Manager manager;
    pid = manager.pid();
    const auto value = manager.value(1);
    manager.shutdown();
    CHECK_THROWS_AS(value.get(), ManagerDied);
    CHECK_THROWS_AS(manager.value(2), BadArgument);
    manager.shutdown();
  }
  CHECK(::kill(pid, 0) == -1);
  Manager first;
  Manager second(std::move(first));
  CHECK(second.value(3).get() == 3);
}

TEST_CASE("Ctrl-C does not end a server") {
  const Manager manager;
  const auto value = manager.value(1);
  ::kill(manager.pid(), SIGINT);
  value.set(2);
  CHECK(value.get() == 2);
}

TEST_CASE("threads call at the same time, and large values go through") {
  const Manager manager;
  const auto list = manager.list<std::string>();
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int k = 0; k < 50; ++k) list.append("x");
      });
    }
  }
  CHECK(list.size() == 200);
  const std::string large(20'000'000, 'l');  // NOLINT(bugprone-string-constructor)
  list.append(large);
  CHECK(list.at(200) == large);
}

TEST_CASE("a manager's queue and locks are those in shared memory") {
  const Manager manager;
  const auto queue = manager.queue<int>(2);
  const Lock lock = manager.lock();
  const Queue<int> same = queue;
  same.put(0);
  CHECK(queue.get() == 0);
  support::Child child([&] {
    lock.lock();
    queue.put(1);
    lock.unlock();
  });
  CHECK(queue.get(20s) == 1);
  CHECK(child.wait_for(10s) == 0);
  CHECK(manager.barrier(1).wait() == 0);
  const auto count = manager.value(0);
  CHECK(manager.barrier(1, CountUp{count}).wait() == 0);
  CHECK(count.get() == 1);
}

TEST_CASE("clients are killed at any moment, and others are served") {
  const Manager manager;
  const auto list = manager.list<std::string>();
  for (int round = 0; round < 30; ++round) {
    support::Child client([&] {
      for (;;) list.append(std::string(1000, 'c'));
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(round % 10));
    client.kill();
    list.append("after");
    const auto has_it = [](const std::vector<std::string>& all) {
      return std::ranges::find(all, "after") != all.end();
    };
    CHECK(list.call(has_it));
    list.clear();
  }
}

TEST_CASE("a manager with an address is used by processes that only have its key") {
  const Manager manager({.address = "127.0.0.1:0", .authkey = "a key for this test"});
  CHECK(manager.address().starts_with("127.0.0.1:"));
  const auto local = manager.dict<std::string, ListProxy<int>>();
  support::Child client([address = manager.address()] {
    const Manager there = Manager::connect({.address = address, .authkey = "a key for this test"});
    if (there.pid() != 0) throw std::logic_error("it is another's");
    const auto counter = there.make<Counter>(1L);
    if (counter.call(&Counter::add, 2) != 3) throw std::logic_error("another number");
    try {
      counter.call(&Counter::fail, std::string("far away"));
      throw std::logic_error("no error");
    } catch (const std::out_of_range&) {
    }
    // Proxies go both ways, and into tasks.
    const auto outer = there.dict<std::string, ListProxy<int>>();
    outer.set("list", there.list<int>({1}));
    outer.get("list").append(2);
    const auto append = [](const ListProxy<int>& list, int n) {
      list.append(n);
      return 0;
    };
    Parallel({.n_jobs = 2, .backend = "spawn"})(
        std::vector(2, delayed(append)(outer.get("list"), 3)));
    if (outer.get("list").items() != std::vector{1, 2, 3, 3}) throw std::logic_error("other items");
    const std::string large(3'000'000, 'l');
    if (there.value(large).get() != large) throw std::logic_error("another text");
  });
  CHECK(client.wait_for(60s) == 0);
  CHECK_THROWS_AS(Manager::connect({.address = manager.address(), .authkey = "another key"}),
                  AuthenticationError);
  CHECK_THROWS_AS(Manager({.address = "127.0.0.1:0"}), BadArgument);
  local.set("x", manager.list<int>({7}));
  CHECK(local.get("x").items() == std::vector{7});
}

TEST_CASE("clients by address see the server's death, and their references end with them") {
  struct Tells {
    Event gone;
    explicit Tells(const Event& event) : gone(event) {}
    ~Tells() { gone.set(); }
  };
  const std::string path = "/tmp/hoist-manager-" + std::to_string(::getpid());
  Manager manager({.address = path});
  const Event gone;
  const Event made;
  support::Child client([&] {
    const Manager there = Manager::connect({.address = path});
    const auto proxy = there.make<Tells>(gone);
    made.set();
    ::pause();
  });
  CHECK(made.wait(20s));
  CHECK_FALSE(gone.is_set());
  client.kill();
  CHECK(gone.wait(20s));

  support::Child other([&] {
    const Manager there = Manager::connect({.address = path});
    const auto counter = there.make<Counter>(0L);
    made.clear();
    try {
      counter.call(&Counter::sleep);
    } catch (const ManagerDied&) {
      return;
    }
    throw std::logic_error("no error");
  });
  CHECK(soon([&] { return !made.is_set(); }));
  manager.shutdown();
  CHECK(other.wait_for(20s) == 0);
  CHECK(::access(path.c_str(), F_OK) == -1);
  CHECK_THROWS_AS(Manager::connect({.address = path, .timeout = 200ms}), Error);
}

TEST_CASE("a thread keeps no descriptors of managers that have ended") {
  const auto use_one = [] {
    const support::TempDir dir;
    const Manager manager({.address = (dir / "socket").string()});
    manager.value(1).set(2);
    Manager::connect({.address = manager.address()}).value(1).set(2);
  };
  use_one();
  const std::size_t before = support::count_entries("/proc/self/fd");
  for (int i = 0; i < 3; ++i) use_one();
  CHECK(support::count_entries("/proc/self/fd") <= before);
}

TEST_CASE("a server has descriptors for more threads than its program has them for") {
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  rlimit small = limit;
  small.rlim_cur = 256;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &small) == 0);
  const Manager manager;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  const auto sum = manager.value(0);
  std::latch all(30);
  std::vector<std::jthread> threads;
  for (int i = 0; i < 30; ++i) {
    threads.emplace_back([&] {
      try {
        sum.call([](int& value) { ++value; });
      } catch (const ManagerDied&) {
      }
      all.arrive_and_wait();
    });
  }
  threads.clear();
  CHECK(sum.get() == 30);
}

TEST_CASE("a listener that is no manager's is TimedOut") {
  const support::TempDir dir;
  const Listener listener(dir / "socket");
  const std::jthread other([&] {
    const auto connection = listener.accept<int>(20s);
    CHECK(connection.poll(20s));
    std::this_thread::sleep_for(500ms);
  });
  CHECK_THROWS_AS(Manager::connect({.address = listener.address(), .timeout = 200ms}), TimedOut);
}
