// SPDX-License-Identifier: BSD-3-Clause
//
// Producers and consumers of queues are killed, at random moments and before each store to shared
// memory in turn: no item comes twice, none is lost but the one that a dead process had in hand,
// and nobody waits for the dead.
#include <doctest/doctest.h>
#include <hoist/array.hpp>
#include <hoist/queue.hpp>
#include <hoist/shared.hpp>
#include <hoist/sync.hpp>

#include <array>
#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "support/child.hpp"
#include "support/extended.hpp"

using namespace hoist;
using namespace std::chrono_literals;

namespace {

const int rounds = support::extended ? 1000 : 50;
constexpr unsigned per_producer = 20'000;

struct Item {
  unsigned producer = 0;
  unsigned number = 0;
  std::array<unsigned, 14> same{};
};

}  // namespace

TEST_CASE("producers and consumers of a queue are killed at random") {
  const auto lives = static_cast<unsigned>(rounds) + 4;
  const Queue<Item> queue({.max_bytes = 1});
  const SharedArray<unsigned> put(lives, {.lock = false});  // how many items each has put
  const SharedArray<unsigned char> seen(std::size_t{lives} * per_producer, {.lock = false});
  const SharedValue<int> wrong(0);
  const auto note = [&](const Item& item) {
    for (const unsigned one : item.same) {
      if (one != item.number) wrong.set(1);
    }
    std::atomic_ref(seen[std::size_t{item.producer} * per_producer + item.number]).fetch_add(1);
  };
  unsigned next = 0;
  const auto producer = [&] {
    return std::make_unique<support::Child>([&, own = next++] {
      for (unsigned i = 0; i < per_producer; ++i) {
        Item item{own, i, {}};
        item.same.fill(i);
        queue.put(item);
        std::atomic_ref(put[own]).store(i + 1);
      }
      ::pause();
    });
  };
  const auto consumer = [&] {
    return std::make_unique<support::Child>([&] {
      std::vector<int> last(lives, -1);
      for (;;) {
        const Item item = queue.get();
        note(item);
        if (last[item.producer] >= static_cast<int>(item.number)) wrong.set(2);
        last[item.producer] = static_cast<int>(item.number);
      }
    });
  };
  std::array<std::unique_ptr<support::Child>, 4> all{producer(), producer(), consumer(),
                                                     consumer()};
  std::mt19937 random(11);
  unsigned dead_consumers = 2;  // at the end
  for (int round = 0; round < rounds; ++round) {
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 5000));
    const std::size_t victim = random() % all.size();
    all[victim]->kill();
    CHECK(all[victim]->wait() == -SIGKILL);
    if (victim >= 2) ++dead_consumers;
    all[victim] = victim < 2 ? producer() : consumer();
  }
  for (const auto& one : all) one->kill();
  try {
    for (;;) note(queue.get(200ms));
  } catch (const Empty&) {
  }
  CHECK(wrong.get() == 0);
  unsigned lost = 0, twice = 0, total = 0;
  for (unsigned p = 0; p < next; ++p) {
    for (unsigned i = 0; i < per_producer; ++i) {
      const unsigned times = seen[std::size_t{p} * per_producer + i];
      total += times;
      twice += times > 1 ? 1 : 0;
      lost += i < put[p] && times == 0 ? 1 : 0;
      if (i > put[p]) CHECK(times == 0);
    }
  }
  CHECK(twice == 0);
  CHECK(lost <= dead_consumers);
  CHECK(total > 0);
  MESSAGE(total, " items, ", lost, " lost with ", dead_consumers, " consumers");
}

TEST_CASE("a producer is killed before each of its stores") {
  for (const std::size_t size : {10U, 1'000U, 60'000U, 400'000U}) {
    CAPTURE(size);
    const Queue<std::string> queue({.max_bytes = 1'000'000});
    const std::string item(size, 'i');
    bool right = true;
    // The first stores are into a chunk that is nearly full.
    const auto fill = [&] { queue.put(std::string(30'000, 'f')); };
    const int deaths = support::at_each_store([&] { queue.put(item); },
                                              [&](int, int) {
                                                queue.put("next", 10s);
                                                std::string got = queue.get(10s);
                                                if (got == item) got = queue.get(10s);
                                                right = right && got == "next" && queue.empty();
                                                fill();
                                                right = right && queue.get(10s).size() == 30'000;
                                              });
    CHECK(right);
    CHECK(deaths > 5);
  }
}

TEST_CASE("a consumer is killed before each of its stores") {
  for (const std::size_t size : {10U, 400'000U}) {
    CAPTURE(size);
    const Queue<std::string> queue({.max_bytes = 1'000'000});
    const std::string item(size, 'i');
    bool right = true;
    queue.put(item);
    queue.put("next");
    const int deaths = support::at_each_store([&] { queue.get(); },
                                              [&](int, int) {
                                                std::string got = queue.get(10s);
                                                if (got == item) got = queue.get(10s);
                                                right = right && got == "next" && queue.empty();
                                                queue.put(item, 10s);
                                                queue.put("next", 10s);
                                              });
    CHECK(right);
    CHECK(deaths > 3);
  }
}

TEST_CASE("whoever is killed with handles and arrays under way, others are not mistaken") {
  using Message = std::pair<Array<int>, SharedValue<int>>;
  const Queue<Message> queue;
  const auto message = [](int number) {
    auto array = Array<int>::shared({2});
    array(0) = number;
    return Message{array, SharedValue<int>(number)};
  };
  const auto is = [](const Message& got, int number) {
    return got.first(0) == number && got.second.get() == number;
  };
  bool right = true;
  const int deaths = support::at_each_store([&] { queue.put(message(1)); },
                                            [&](int, int) {
                                              queue.put(message(2), 10s);
                                              Message got = queue.get(10s);
                                              if (is(got, 1)) got = queue.get(10s);
                                              right = right && is(got, 2) && queue.empty();
                                            });
  CHECK(deaths > 5);
  for (int i = 1; i < 3; ++i) queue.put(message(i));
  support::at_each_store([&] { queue.get(); },
                         [&](int, int) {
                           Message got = queue.get(10s);
                           if (is(got, 1)) got = queue.get(10s);
                           right = right && is(got, 2) && queue.empty();
                           for (int i = 1; i < 3; ++i) queue.put(message(i), 10s);
                         });
  CHECK(right);
}

TEST_CASE("what dead processes had of large arrays is no reason to wait") {
  const Queue<Array<double>> queue({.max_bytes = 1});
  const Array<double> large({1'200'000});
  bool right = true;
  const auto after = [&](int, int) {
    while (queue.try_get()) {
    }
    queue.put(large, 20s);
    right = right && queue.get(20s).size() == large.size();
  };
  support::at_each_store([&] { queue.put(large); }, after);
  support::at_each_store(
      [&] {
        queue.put(large);
        queue.get();
      },
      after);
  CHECK(right);
}

TEST_CASE("a process that is killed before each store of its task_done() loses its task or not") {
  const JoinableQueue<int> queue;
  bool right = true;
  support::at_each_store(
      [&] {
        queue.put(1);
        queue.get(10s);
        queue.task_done();
      },
      [&](int, int) {
        // What it has put and not taken is still there.
        while (queue.try_get()) queue.task_done();
        try {
          right = right && queue.join(10s);
        } catch (const OwnerDied&) {
          right = right && queue.join(10s);
        }
      });
  CHECK(right);
}

TEST_CASE("a consumer that was next in line is killed, and the item goes to another") {
  const Queue<int> queue;
  for (int round = 0; round < rounds; ++round) {
    support::Child first([&] { queue.get(); });
    support::Child second([&] {
      if (queue.get(10s) != 1) throw 1;
    });
    std::this_thread::sleep_for(std::chrono::microseconds(200 * (round % 20)));
    first.kill();
    queue.put(1);
    CHECK(second.wait_for(10s) == 0);
  }
}

TEST_CASE("a producer that was killed in the middle of a large item keeps nobody waiting") {
  const Queue<std::string> queue({.max_bytes = 1});
  for (int round = 0; round < 20; ++round) {
    support::Child producer([&] { queue.put(std::string(8'000'000, 'x')); });
    std::jthread killer([&] {
      std::this_thread::sleep_for(std::chrono::microseconds(300 * round));
      producer.kill();
      queue.put("after it");
    });
    std::string got = queue.get(20s);
    if (got.size() == 8'000'000) got = queue.get(20s);
    CHECK(got == "after it");
  }
}
