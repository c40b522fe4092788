// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/partial.hpp>

#include <hoist/hoist.hpp>

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace {

using namespace hoist;

int weigh(int a, int b, int c) { return 100 * a + 10 * b + c; }
std::string join(const std::vector<std::string>& words, std::string_view separator, int times) {
  std::string text;
  for (int i = 0; i < times; ++i) {
    for (const std::string& word : words) text += word + std::string(separator);
  }
  return text;
}
struct Scale {
  double factor = 1;
  double apply(double x) const { return factor * x; }
};
void put_sum(const Queue<int>& queue, int a, int b) { queue.put(a + b); }

}  // namespace

TEST_CASE("partial binds leading arguments") {
  CHECK(partial(weigh, 1, 2)(3) == 123);
  CHECK(partial(partial(weigh, 1), 2)(3) == 123);
  CHECK(partial(weigh)(1, 2, 3) == 123);
  CHECK(partial(&Scale::apply, Scale{3})(2.0) == 6);
  int count = 0;
  partial([](int& n, int more) { n += more; }, std::ref(count))(5);
  CHECK(count == 5);
  auto counter = partial([](int& n) { return ++n; }, 0);
  CHECK(counter() == 1);
  CHECK(counter() == 2);
  CHECK(*partial([](const std::unique_ptr<int>& p) { return p.get(); },
                 std::make_unique<int>(4))() == 4);
  static_assert(!std::is_invocable_v<Partial<int (*)(int, int, int), int>, int>);
}

TEST_CASE("it can be sent to other processes") {
  const std::vector<std::string> words{"a", "b"};
  for (const char* backend : {"threads", "spawn", "fork"}) {
    CAPTURE(backend);
    const Parallel parallel({.n_jobs = 2, .backend = backend});
    CHECK(parallel.map(std::vector{1, 2}, partial(weigh, 4, 5)) == std::vector{451, 452});
    CHECK(parallel.map(std::vector{1, 2}, partial(join, words, "-")) ==
          std::vector<std::string>{"a-b-", "a-b-a-b-"});
    CHECK(parallel.map(std::vector{1.0, 2.0}, partial(&Scale::apply, Scale{3})) ==
          std::vector{3.0, 6.0});
    CHECK(parallel.map(std::vector{1, 2}, partial([](int a, int b) { return a - b; }, 5)) ==
          std::vector{4, 3});
    CHECK(parallel.map(std::vector{1, 2}, partial(partial(weigh, 1), 2)) == std::vector{121, 122});
  }
  ProcessPoolExecutor workers({.max_workers = 1});
  CHECK(workers.submit(partial(weigh, 1, 2), 3).result() == 123);
  CHECK(workers.submit(partial(weigh, 1, 2, 3)).result() == 123);
  int sum = 0;
  for (const int n : workers.map(std::vector{1, 2}, partial(weigh, 4, 5))) sum += n;
  CHECK(sum == 903);
  Pool pool(1);
  CHECK(pool.map(partial(weigh, 4, 5), std::vector{1, 2}) == std::vector{451, 452});

  const Queue<int> queue;
  Process process(partial(put_sum, queue, 2), 3);
  process.start();
  process.join();
  CHECK(queue.get(std::chrono::seconds(10)) == 5);

  // As an argument of a task.
  CHECK(workers.submit([](const auto& f) { return f(3); }, partial(weigh, 1, 2)).result() == 123);
}

TEST_CASE("it is refused where a part can't be sent") {
  ProcessPoolExecutor workers({.max_workers = 1});
  int count = 0;
  CHECK_THROWS_AS(workers.submit(partial([](int& n) { ++n; }, std::ref(count))).result(),
                  CannotTravel);
  CHECK_THROWS_AS(workers
                      .submit(partial([](const std::function<int()>& f) { return f(); },
                                      std::function<int()>([] { return 1; })))
                      .result(),
                  CannotTravel);
}
