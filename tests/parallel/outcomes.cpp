// SPDX-License-Identifier: BSD-3-Clause
#include "parallel/outcomes.hpp"

#include <doctest/doctest.h>

#include <hoist/parallel_options.hpp>

#include <stdexcept>
#include <vector>

using hoist::OnError;
using hoist::ParallelOptions;
using hoist::detail::Deliver;
using hoist::detail::parallel::Outcomes;
using Verdict = Outcomes::Verdict;

namespace {

ParallelOptions options(unsigned retries, OnError on_error = OnError::raise) {
  ParallelOptions made;
  made.retries = retries;
  made.on_error = on_error;
  return made;
}

const std::exception_ptr trouble = std::make_exception_ptr(std::runtime_error("trouble"));

}  // namespace

TEST_CASE("a failed task is tried again as often as retries say, then ends the loop") {
  Outcomes outcomes(options(2), Deliver::all);
  CHECK(outcomes.has_retries_left(7));
  CHECK(outcomes.fail(7, trouble, 0, true) == Verdict::retry);
  CHECK(outcomes.fail(7, trouble, 0, true) == Verdict::retry);
  CHECK_FALSE(outcomes.has_retries_left(7));
  CHECK(outcomes.failed_count() == 0);
  CHECK(outcomes.fail(7, trouble, 0, true) == Verdict::fatal);
  CHECK(outcomes.failed_count() == 1);
}

TEST_CASE("a loop that stops tries nothing again") {
  Outcomes outcomes(options(5), Deliver::all);
  CHECK(outcomes.fail(0, trouble, 0, false) == Verdict::fatal);
}

TEST_CASE("with OnError::finish failures are collected in the order of tasks") {
  Outcomes outcomes(options(0, OnError::finish), Deliver::all);
  CHECK(outcomes.fail(9, trouble, 0, true) == Verdict::recorded);
  CHECK(outcomes.fail(3, trouble, 0, true) == Verdict::recorded);
  const auto failures = outcomes.failures();
  REQUIRE(failures.size() == 2);
  CHECK(failures[0].index == 3);
  CHECK(failures[1].index == 9);
  CHECK(failures[0].attempts == 1);
}

TEST_CASE("an account counts all attempts of a task that succeeds in the end") {
  Outcomes outcomes(options(3), Deliver::outcomes);
  CHECK(outcomes.fail(1, trouble, 0, true) == Verdict::retry);
  outcomes.complete(1, 0.5);
  const auto account = outcomes.account(1);
  CHECK(account.done);
  CHECK(account.attempts == 2);
  CHECK(account.seconds == 0.5);
  CHECK_FALSE(outcomes.account(2).done);
}

TEST_CASE("in order: results wait for those before them; failed tasks are left out") {
  Outcomes outcomes(options(0, OnError::finish), Deliver::in_order);
  std::vector<std::size_t> discarded;
  const auto pop = [&] {
    return outcomes.pop_completed([&](std::size_t task) { discarded.push_back(task); });
  };
  outcomes.complete(2, 0);
  CHECK_FALSE(pop());
  outcomes.complete(0, 0);
  CHECK(pop() == 0);
  CHECK_FALSE(pop());
  CHECK(outcomes.fail(1, trouble, 0, true) == Verdict::recorded);
  CHECK(pop() == 2);
  CHECK(discarded == std::vector<std::size_t>{1});
}

TEST_CASE("as completed: results come in the order in which they arrived") {
  Outcomes outcomes(options(0), Deliver::as_completed);
  outcomes.complete(5, 0);
  outcomes.complete(1, 0);
  const auto keep = [](std::size_t) {};
  CHECK(outcomes.pop_completed(keep) == 5);
  CHECK(outcomes.pop_completed(keep) == 1);
  CHECK_FALSE(outcomes.pop_completed(keep));
}
