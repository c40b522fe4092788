// SPDX-License-Identifier: BSD-3-Clause
#include "backends/in_flight.hpp"

#include <doctest/doctest.h>
#include <hoist/error.hpp>
#include <hoist/parallel_options.hpp>

#include <stdexcept>
#include <string>
#include <vector>

using namespace hoist;
using namespace std::chrono_literals;
using hoist::detail::backends::InFlight;

namespace {

/// Writes down what becomes of the tasks.
class FakeLoop final : public Loop {
 public:
  const ParallelOptions& options() const noexcept override { return options_; }
  unsigned n_jobs() const noexcept override { return 1; }
  LoopTasks& tasks() noexcept override { std::abort(); }
  std::size_t known() const noexcept override { return 0; }
  bool owner_is_busy() const noexcept override { return false; }
  bool needs_batch_times() const noexcept override { return true; }
  bool needs_task_times() const noexcept override { return true; }
  bool available() const noexcept override { return false; }
  bool stopping() const noexcept override { return false; }
  bool idle() override { return false; }
  bool take(TaskRange&, Worker&) override { return false; }
  unsigned attempt(TaskRange) override { return 1; }
  void give_back(TaskRange tasks) override { events.push_back("back " + text(tasks)); }
  void request_split() override {}
  void enter_tasks() override {}
  void encode_context(detail::Encoder&) const override {}
  void run(TaskRange, Worker&) override {}
  void arrived(TaskRange tasks, Worker&, TaskResults&, Clock::time_point, double seconds) override {
    events.push_back("done " + text(tasks));
    total_seconds += seconds;
  }
  void failed(std::size_t task, Worker&, std::exception_ptr error, Clock::time_point began,
              double seconds) override {
    try {
      std::rethrow_exception(error);
    } catch (const std::exception& e) {
      events.push_back("failed " + std::to_string(task) + " " + e.what());
    }
    last_began = began;
    total_seconds += seconds;
  }
  unsigned epoch() const noexcept override { return 0; }
  void wait(unsigned, Clock::time_point) override {}
  void signal() override {}

  static std::string text(TaskRange tasks) {
    return std::to_string(tasks.first) + "-" + std::to_string(tasks.last);
  }
  /// What has happened since the last call.
  std::vector<std::string> take_events() { return std::exchange(events, {}); }

  std::vector<std::string> events;
  double total_seconds = 0;
  Clock::time_point last_began{};

 private:
  ParallelOptions options_;
};

struct NoResults final : TaskResults {
  detail::Decoder& next() override { std::abort(); }
};

using Events = std::vector<std::string>;

struct Ledger {
  FakeLoop loop;
  Worker worker;
  InFlight tasks{loop, worker};
  NoResults results;

  void answer(std::size_t count) { tasks.take_results(count, results, began, 4s); }
  void fail(const char* what) {
    tasks.take_error(std::make_exception_ptr(std::runtime_error(what)), began, 1s);
  }
  bool end(bool ran) {
    return tasks.end(ran, [](std::size_t task) {
      return std::make_exception_ptr(std::runtime_error("death in " + std::to_string(task)));
    });
  }
  Clock::time_point began{1h};
};

}  // namespace

TEST_CASE("results and errors settle tasks in the order in which they were given") {
  Ledger ledger;
  CHECK(ledger.tasks.empty());
  ledger.tasks.add({0, 3});
  ledger.tasks.add({7, 9});
  CHECK(ledger.tasks.size() == 5);
  ledger.answer(1);
  CHECK(ledger.tasks.oldest_since() == ledger.began + 4s);
  ledger.fail("bad");
  CHECK(ledger.tasks.oldest_since() == ledger.began + 1s);
  CHECK(ledger.tasks.oldest().first == 2);
  ledger.answer(3);
  CHECK(ledger.loop.take_events() == Events{"done 0-1", "failed 1 bad", "done 2-3", "done 7-9"});
  CHECK(ledger.loop.total_seconds == doctest::Approx(4 + 1 + 4));
  CHECK(ledger.tasks.empty());
  CHECK(ledger.tasks.size() == 0);
}

TEST_CASE("tasks that follow one another are one batch, and the first one's time counts") {
  Ledger ledger;
  const auto before = Clock::now();
  for (const std::size_t task : {4U, 5U, 6U, 9U}) ledger.tasks.append(task);
  CHECK(ledger.tasks.oldest_since() >= before);
  CHECK(FakeLoop::text(ledger.tasks.oldest()) == "4-7");
  CHECK(ledger.tasks.size() == 4);
  ledger.answer(4);
  CHECK(ledger.loop.take_events() == Events{"done 4-7", "done 9-10"});
}

TEST_CASE("answers that can't be are damage, and settle nothing") {
  Ledger ledger;
  CHECK_THROWS_AS(ledger.answer(1), DamagedData);
  CHECK_THROWS_AS(ledger.fail("of none"), DamagedData);
  CHECK_THROWS_AS(ledger.tasks.return_oldest(0), DamagedData);
  ledger.tasks.add({0, 2});
  ledger.tasks.add({2, 4});
  CHECK_THROWS_AS(ledger.answer(0), DamagedData);
  CHECK_THROWS_AS(ledger.answer(5), DamagedData);
  CHECK_THROWS_AS(ledger.answer(static_cast<std::size_t>(-1)), DamagedData);
  CHECK_THROWS_AS(ledger.tasks.return_oldest(1), DamagedData);
  CHECK(ledger.loop.take_events().empty());
  CHECK(ledger.tasks.size() == 4);
  ledger.answer(4);
  CHECK(ledger.loop.take_events() == Events{"done 0-2", "done 2-4"});
}

TEST_CASE("a worker hands back what it has not begun") {
  Ledger ledger;
  ledger.tasks.add({0, 8});
  ledger.tasks.add({8, 16});
  ledger.tasks.add({16, 20});
  ledger.tasks.take_back_newest();
  ledger.answer(3);
  ledger.tasks.return_oldest(3);
  CHECK(ledger.loop.take_events() == Events{"back 16-20", "done 0-3", "back 3-8"});
  CHECK(ledger.tasks.size() == 8);
  ledger.tasks.take_back_all();
  CHECK(ledger.loop.take_events() == Events{"back 8-16"});
  CHECK(ledger.tasks.empty());
}

TEST_CASE("a machine that is lost costs the tasks that must not run again, and no other") {
  Ledger ledger;
  ledger.tasks.add({3, 6});
  ledger.tasks.add({8, 10});
  ledger.tasks.end_lost([](std::size_t task) {
    return task == 4 ? std::make_exception_ptr(std::runtime_error("lost")) : nullptr;
  });
  CHECK(ledger.loop.take_events() == Events{"failed 4 lost", "back 3-4", "back 5-6", "back 8-10"});
  CHECK(ledger.tasks.empty());
}

TEST_CASE("a death costs the task that ran, and no other") {
  Ledger ledger;
  SUBCASE("before the worker had anything") {
    CHECK(!ledger.end(true));
    CHECK(ledger.loop.take_events().empty());
  }
  SUBCASE("between two tasks") {
    ledger.tasks.add({0, 4});
    ledger.answer(2);
    ledger.loop.take_events();
    CHECK(!ledger.end(false));
    CHECK(ledger.loop.take_events() == Events{"back 2-4"});
  }
  SUBCASE("in a task") {
    ledger.tasks.add({0, 4});
    ledger.tasks.add({6, 8});
    ledger.answer(2);
    ledger.tasks.set_oldest_since(ledger.began + 5s);
    ledger.loop.take_events();
    CHECK(ledger.end(true));
    CHECK(ledger.loop.last_began == ledger.began + 5s);
    CHECK(ledger.loop.take_events() == Events{"failed 2 death in 2", "back 3-4", "back 6-8"});
  }
  SUBCASE("in the last task") {
    ledger.tasks.append(5);
    CHECK(ledger.end(true));
    CHECK(ledger.loop.take_events() == Events{"failed 5 death in 5"});
  }
  CHECK(ledger.tasks.empty());
  CHECK(ledger.tasks.size() == 0);
}
