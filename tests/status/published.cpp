// SPDX-License-Identifier: BSD-3-Clause
#include "status/published.hpp"

#include <doctest/doctest.h>
#include <hoist/running_programs.hpp>

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "support/hard_limit.hpp"
#include "support/publishing.hpp"

using namespace hoist;
using namespace hoist::detail::status;
using namespace std::chrono_literals;

namespace {

RunningProgram own_program() {
  const auto programs = running_programs();
  REQUIRE(programs.size() == 1);
  REQUIRE(programs[0].pid == ::getpid());
  return programs[0];
}

/// Runs the test case of this name in a program of its own, which publishes.
void run_apart(const std::string& name) {
  const support::RuntimeDir dir;
  support::ChildProgram child(name);
  REQUIRE(child.ends_within(60s));
  INFO(child.output());
  CHECK(child.exit_code() == 0);
  CHECK(dir.files() == 0);
}

}  // namespace

TEST_CASE("counters (apart)" * doctest::skip()) {
  std::optional<PublishedLoop> loop(std::in_place, SlotState::loop, "a backend", 3, true);
  CHECK_FALSE(own_program().loops[0].total);
  loop->set_total(10);
  loop->add_done(4, 0);
  loop->add_done(1, 2);
  loop->add_done(0, 1);  // by a thread that was late
  loop->add_busy(1.5);
  const RunningLoop seen = own_program().loops[0];
  CHECK(seen.total == 10);
  CHECK(seen.done == 5);
  CHECK(seen.failed == 2);
  CHECK(seen.busy == 1500ms);
  CHECK(seen.backend == "a backend");
  {
    // Of another loop in the same slot the number is another.
    loop.emplace(SlotState::executor, std::string(100, 'b'), 1, false);
    loop->add_busy(1);
    const RunningLoop other = own_program().loops[0];
    CHECK(other.number != seen.number);
    CHECK(other.is_executor);
    CHECK_FALSE(other.busy);
    CHECK(other.backend == std::string(27, 'b'));
  }
  PublishedFunction first("f");
  PublishedFunction same("f");
  PublishedFunction long_name(std::string(500, 'n'));
  first.add_hit();
  same.add_hit();
  same.add_miss();
  const RunningProgram program = own_program();
  REQUIRE(program.functions.size() == 2);
  CHECK(program.functions[0].hits == 2);
  CHECK(program.functions[0].misses == 1);
  CHECK(program.functions[1].name == std::string(103, 'n'));
  CHECK(program.ended_loops == 1);
  CHECK(program.ended_tasks == 5);
  const PublishedLoop inner(SlotState::free, "x", 1, true);
  CHECK(own_program().loops.size() == 1);
}

TEST_CASE("counters are seen by others") { run_apart("counters (apart)"); }

TEST_CASE("more than there is room for (apart)" * doctest::skip()) {
  std::vector<std::unique_ptr<PublishedLoop>> loops;
  for (int i = 0; i < 200; ++i) {
    loops.push_back(std::make_unique<PublishedLoop>(SlotState::loop, "x", 1, true));
    loops.back()->add_done(1, 0);
  }
  CHECK(own_program().loops.size() == 127);
  loops.clear();
  const PublishedFunction function("f");
  const RunningProgram program = own_program();
  CHECK(program.loops.empty());
  CHECK(program.functions.size() == 1);
  CHECK(program.ended_tasks == 127);
}

TEST_CASE("loops beyond the room that there is are left out") {
  run_apart("more than there is room for (apart)");
}

TEST_CASE("many at once (apart)" * doctest::skip()) {
  // With this the program has published something before the threads do.
  std::optional<PublishedLoop>(std::in_place, SlotState::loop, "x", 1U, true)->add_done(1, 0);
  std::vector<std::jthread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([t](const std::stop_token& end) {
      const std::string name(1, static_cast<char>('a' + t));
      while (!end.stop_requested()) {
        PublishedLoop loop(SlotState::loop, name, static_cast<unsigned>(t), true);
        loop.set_total(static_cast<std::size_t>(t) + 100);
        loop.add_done(1, 0);
      }
    });
  }
  for (int i = 0; i < 300; ++i) {
    for (const RunningLoop& loop : own_program().loops) {
      // Never a part of one loop and a part of another.
      REQUIRE(loop.backend == std::string(1, static_cast<char>('a' + loop.workers)));
      if (loop.total) REQUIRE(loop.total == loop.workers + 100);
      REQUIRE(loop.done <= 1);
    }
  }
  threads.clear();
  CHECK(own_program().ended_loops == own_program().ended_tasks);
}

TEST_CASE("a loop is seen whole or not at all") { run_apart("many at once (apart)"); }
