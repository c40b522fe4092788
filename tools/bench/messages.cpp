// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/array.hpp>
#include <hoist/delayed.hpp>
#include <hoist/lock.hpp>
#include <hoist/manager.hpp>
#include <hoist/parallel.hpp>
#include <hoist/pipe.hpp>
#include <hoist/queue.hpp>

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <boost/interprocess/ipc/message_queue.hpp>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <vector>

#include "bench.hpp"

// Queues and pipes between processes, beside the bare machine, Python's multiprocessing and
// Boost.Interprocess.

namespace {

using bench::Goal;
using Item = std::array<double, 8>;

constexpr int rounds = 5;
constexpr int items = 1'000'000;
constexpr int turns = 50'000;

/// Not copied page by page when this process forks.
void* shared_memory(std::size_t bytes) {
  return ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE,
                -1, 0);
}

/// Starts processes that do the works, and does the last itself; returns when all are done.
void together(const std::vector<std::function<void()>>& works) {
  std::vector<pid_t> children;
  for (std::size_t i = 0; i + 1 < works.size(); ++i) {
    children.push_back(::fork());
    if (children.back() == 0) {
      works[i]();
      ::_exit(0);
    }
  }
  works.back()();
  for (const pid_t child : children) ::waitpid(child, nullptr, 0);
}

double median_of(const std::vector<double>& numbers) {
  return numbers.empty() ? std::numeric_limits<double>::quiet_NaN() : bench::median(numbers);
}

/// The least that a queue of items of 64 bytes can be: one writer, one reader, a slot for each.
struct RawRing {
  static constexpr std::size_t slots = 4096;

  alignas(64) std::atomic<std::uint64_t> read{0};
  alignas(64) std::atomic<std::uint64_t> written{0};
  alignas(64) std::array<Item, slots> data{};

  void put(const Item& item, std::uint64_t i, std::uint64_t& seen) {
    while (i - seen >= slots) seen = read.load(std::memory_order_acquire);
    data[i % slots] = item;
    written.store(i + 1, std::memory_order_release);
  }
  Item get(std::uint64_t i, std::uint64_t& seen) {
    while (seen <= i) seen = written.load(std::memory_order_acquire);
    const Item item = data[i % slots];
    read.store(i + 1, std::memory_order_release);
    return item;
  }
};

void small_items() {
  const hoist::Queue<Item> queue;
  const auto put = [&](int n) {
    for (int i = 0; i < n; ++i) queue.put(Item{static_cast<double>(i)});
  };
  const auto get = [&](int n) {
    for (int i = 0; i < n; ++i) bench::keep(queue.get());
  };
  auto& raw = *new (shared_memory(sizeof(RawRing))) RawRing;
  namespace bi = boost::interprocess;
  const std::string name = "hoist-bench-" + std::to_string(::getpid());
  bi::message_queue::remove(name.c_str());
  bi::message_queue theirs(bi::create_only, name.c_str(), 4096, sizeof(Item));
  constexpr int few = items / 10;
  const auto times = bench::medians(
      rounds, {[&] { together({[&] { put(items); }, [&] { get(items); }}); },
               [&] {
                 std::uint64_t base = raw.written.load();
                 together({[&, seen = base]() mutable {
                             for (int i = 0; i < items; ++i) {
                               raw.put(Item{static_cast<double>(i)},
                                       base + static_cast<unsigned>(i), seen);
                             }
                           },
                           [&, seen = base]() mutable {
                             for (int i = 0; i < items; ++i) {
                               bench::keep(raw.get(base + static_cast<unsigned>(i), seen));
                             }
                           }});
               },
               [&] {
                 together({[&] {
                             for (int i = 0; i < few; ++i) {
                               const Item item{static_cast<double>(i)};
                               theirs.send(&item, sizeof item, 0);
                             }
                           },
                           [&] {
                             for (int i = 0; i < few; ++i) {
                               Item item;
                               bi::message_queue::size_type size = 0;
                               unsigned priority = 0;
                               theirs.receive(&item, sizeof item, size, priority);
                             }
                           }});
               },
               [&] {
                 together({[&] { put(items / 2); }, [&] { put(items / 2); },
                           [&] { get(items / 2); }, [&] { get(items / 2); }});
               }});
  bi::message_queue::remove(name.c_str());
  const hoist::Lock lock;
  const auto alone = bench::medians(rounds, {[&] {
                                               for (int i = 0; i < items; ++i) {
                                                 queue.put(Item{});
                                                 bench::keep(queue.get());
                                               }
                                             },
                                             [&] {
                                               for (int i = 0; i < 2 * items; ++i) {
                                                 lock.lock();
                                                 lock.unlock();
                                               }
                                             }});
  bench::row("Queue, put and get by one thread", "ns", alone[0] * 1e9 / items,
             "its two locks alone", alone[1] * 1e9 / items, Goal::at_most, 4);
  const auto python = bench::python(R"(
import multiprocessing as mp, time
ctx = mp.get_context('fork')
item = b'x' * 64
def put(q, n):
    for _ in range(n): q.put(item)
for _ in range(3):
    q = ctx.Queue()
    n = 20000
    p = ctx.Process(target=put, args=(q, n))
    t = time.perf_counter()
    p.start()
    for _ in range(n): q.get()
    print(n / (time.perf_counter() - t))
    p.join()
)");
  const double ours = items / times[0] / 1e6;
  bench::row("Queue, 64-byte items, 1 to 1", "M/s", ours, "limit", 6, Goal::at_least, 1);
  bench::row("Queue, 64-byte items, 1 to 1", "M/s", ours, "raw ring", items / times[1] / 1e6,
             Goal::at_least, 0.4);
  bench::row("Queue, 64-byte items, 1 to 1", "M/s", ours, "multiprocessing.Queue",
             median_of(python) / 1e6, Goal::at_least, 60);
  bench::row("Queue, 64-byte items, 1 to 1", "M/s", ours, "Boost message_queue",
             few / times[2] / 1e6, Goal::at_least, 4);
  bench::row("Queue, 64-byte items, 2 to 2", "M/s", items / times[3] / 1e6, "1 to 1", ours,
             Goal::at_least, 0.5);
}

/// A memcpy of `bytes` from and to memory that is in no cache of this core, as what comes from
/// another process.
class Memcpy {
 public:
  explicit Memcpy(std::size_t bytes)
      : bytes_(bytes),
        count_(std::max<std::size_t>(2, (std::size_t{64} << 20) / bytes)),
        from_(static_cast<std::byte*>(shared_memory(bytes * count_))),
        to_(static_cast<std::byte*>(shared_memory(bytes * count_))) {}
  Memcpy(const Memcpy&) = delete;
  Memcpy& operator=(const Memcpy&) = delete;
  ~Memcpy() {
    ::munmap(from_, bytes_ * count_);
    ::munmap(to_, bytes_ * count_);
  }

  void run(int n) {
    for (int i = 0; i < n; ++i) {
      const std::size_t at = static_cast<std::size_t>(i) % count_ * bytes_;
      std::memcpy(to_ + at, from_ + at, bytes_);
      bench::keep(to_[at]);
    }
  }

 private:
  std::size_t bytes_;
  std::size_t count_;
  std::byte* from_;
  std::byte* to_;
};

void large_items() {
  constexpr std::size_t mib = std::size_t{1} << 20;
  constexpr int many = 500;
  const hoist::Queue<hoist::Array<double>> queue;
  const hoist::Array<double> array({mib / sizeof(double)});
  Memcpy copy(mib);
  const auto times = bench::medians(rounds, {[&] {
                                               together({[&] {
                                                           for (int i = 0; i < many; ++i)
                                                             queue.put(array);
                                                         },
                                                         [&] {
                                                           for (int i = 0; i < many; ++i)
                                                             bench::keep(queue.get());
                                                         }});
                                             },
                                             [&] { copy.run(many); }});
  bench::row("Queue, arrays of 1 MiB", "GB/s", many * 1.048576e-3 / times[0], "memcpy",
             many * 1.048576e-3 / times[1], Goal::at_least, 0.5);

  const hoist::Array<double> huge({100 * mib / sizeof(double)});
  const auto file = [&] {
    const int fd = ::memfd_create("hoist-bench", 0);
    if (::ftruncate(fd, static_cast<off_t>(100 * mib)) != 0) return;
    void* const to = ::mmap(nullptr, 100 * mib, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    std::memcpy(to, huge.data(), 100 * mib);
    ::munmap(to, 100 * mib);
    ::close(fd);
  };
  const auto once = bench::medians(rounds, {[&] {
                                              queue.put(huge);
                                              bench::keep(queue.get());
                                            },
                                            file});
  bench::row("Queue, array of 100 MiB, put and get", "ms", once[0] * 1e3, "copy to a memory file",
             once[1] * 1e3, Goal::at_most, 1.2);
}

void wait_on(std::atomic<std::uint32_t>& word, std::uint32_t before) {
  while (word.load() == before) {
    ::syscall(SYS_futex, &word, FUTEX_WAIT, before, nullptr, nullptr, 0);
  }
}

void ring(std::atomic<std::uint32_t>& word) {
  word.fetch_add(1);
  ::syscall(SYS_futex, &word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

void ping_pong() {
  struct Words {
    alignas(64) std::atomic<std::uint32_t> ping{0};
    alignas(64) std::atomic<std::uint32_t> pong{0};
  };
  auto& words = *new (shared_memory(sizeof(Words))) Words;
  auto [a, b] = hoist::Pipe<Item>();
  // With a rest before each answer both sides sleep when it comes.
  const auto dialogue = [&, a = a, b = b](int n, int rest) {
    together({[&] {
                for (int i = 0; i < n; ++i) {
                  const Item item = b.recv();
                  if (rest > 0) ::usleep(static_cast<unsigned>(rest));
                  b.send(item);
                }
              },
              [&] {
                for (int i = 0; i < n; ++i) {
                  if (rest > 0) ::usleep(static_cast<unsigned>(rest));
                  a.send(Item{});
                  bench::keep(a.recv());
                }
              }});
  };
  const auto spinning = [&](int n) {
    words.ping = words.pong = 0;
    const auto last = static_cast<std::uint32_t>(n);
    together({[&] {
                for (std::uint32_t i = 1; i <= last; ++i) {
                  while (words.ping.load(std::memory_order_acquire) != i) {
                  }
                  words.pong.store(i, std::memory_order_release);
                }
              },
              [&] {
                for (std::uint32_t i = 1; i <= last; ++i) {
                  words.ping.store(i, std::memory_order_release);
                  while (words.pong.load(std::memory_order_acquire) != i) {
                  }
                }
              }});
  };
  const auto sleeping = [&](int n, int rest) {
    words.ping = words.pong = 0;
    const auto last = static_cast<std::uint32_t>(n);
    together({[&] {
                for (std::uint32_t i = 0; i < last; ++i) {
                  wait_on(words.ping, i);
                  ::usleep(static_cast<unsigned>(rest));
                  ring(words.pong);
                }
              },
              [&] {
                for (std::uint32_t i = 0; i < last; ++i) {
                  ::usleep(static_cast<unsigned>(rest));
                  ring(words.ping);
                  wait_on(words.pong, i);
                }
              }});
  };
  const auto warm = bench::medians(rounds, {[&] { dialogue(turns, 0); }, [&] { spinning(turns); }});
  bench::row("Pipe, ping-pong of 64 bytes", "ns", warm[0] * 1e9 / turns, "raw spinning words",
             warm[1] * 1e9 / turns, Goal::at_most, 2);
  constexpr int few = 500;
  constexpr int rest = 500;  // microseconds
  const auto cold =
      bench::medians(rounds, {[&] { dialogue(few, rest); }, [&] { sleeping(few, rest); }});
  bench::row("Pipe, ping-pong of 64 bytes, asleep", "us", cold[0] * 1e6 / few, "raw futexes",
             cold[1] * 1e6 / few, Goal::at_most, 1.3);
}

void large_messages() {
  constexpr std::size_t bytes = std::size_t{16} << 20;
  constexpr int many = 30;
  auto [a, b] = hoist::Pipe<int>();
  const std::span message(static_cast<std::byte*>(shared_memory(bytes)), bytes);
  const std::span room(static_cast<std::byte*>(shared_memory(bytes)), bytes);
  Memcpy copy(bytes);
  const auto times = bench::medians(rounds, {[&, a = a, b = b] {
                                               together({[&] {
                                                           for (int i = 0; i < many; ++i)
                                                             a.send_bytes(message);
                                                         },
                                                         [&] {
                                                           for (int i = 0; i < many; ++i)
                                                             b.recv_bytes_into(room);
                                                         }});
                                             },
                                             [&] { copy.run(many); }});
  bench::row("Pipe, messages of 16 MiB", "GB/s", many * 16.777216e-3 / times[0], "memcpy",
             many * 16.777216e-3 / times[1], Goal::at_least, 0.8);
}

int add_one(int n) { return n + 1; }

void managed() {
  const hoist::Manager manager;
  const auto dict = manager.dict<int, int>();
  hoist::Parallel loop({.n_jobs = 1, .backend = "spawn"});
  const std::vector one(1, hoist::delayed(add_one)(1));
  constexpr int calls = 2000;
  const auto times = bench::medians(rounds, {[&] {
                                               for (int i = 0; i < calls; ++i) dict.set(i % 10, i);
                                             },
                                             [&] {
                                               for (int i = 0; i < calls; ++i) {
                                                 bench::keep(dict.get(i % 10));
                                               }
                                             },
                                             [&] {
                                               for (int i = 0; i < calls; ++i) {
                                                 bench::keep(loop(one));
                                               }
                                             }});
  const auto python = bench::python(R"(
import multiprocessing as mp, time
with mp.Manager() as m:
    d = m.dict()
    d[1] = 1
    for _ in range(3):
        t = time.perf_counter()
        for i in range(1000): d[i % 10] = i
        print((time.perf_counter() - t) / 1000)
    for _ in range(3):
        t = time.perf_counter()
        for i in range(1000): d[1]
        print((time.perf_counter() - t) / 1000)
)");
  const auto half = [&](std::size_t from) {
    return python.size() < 6 ? std::vector<double>()
                             : std::vector(python.begin() + static_cast<long>(from),
                                           python.begin() + static_cast<long>(from) + 3);
  };
  const double set = times[0] / calls;
  const double get = times[1] / calls;
  bench::row("Manager dict, set", "1/s", 1 / set, "multiprocessing", 1 / median_of(half(0)),
             Goal::at_least, 20);
  bench::row("Manager dict, get", "1/s", 1 / get, "multiprocessing", 1 / median_of(half(3)),
             Goal::at_least, 20);
  bench::row("Manager dict, set", "us", set * 1e6, "a task by spawn", times[2] / calls * 1e6,
             Goal::at_most, 3);
}

void messages() {
  small_items();
  large_items();
  ping_pong();
  large_messages();
  managed();
}

const bench::Group group("process", messages);

}  // namespace
