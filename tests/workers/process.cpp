// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/envelope.hpp>
#include <hoist/worker.hpp>

#include <doctest/doctest.h>
#include <unistd.h>

#include <csignal>

#include "workers/pool.hpp"
#include "workers/supervisor.hpp"

using namespace hoist;
using namespace hoist::detail;

namespace {

/// Makes one call at a time on one worker, with the fewest frames possible.
class Caller {
 public:
  explicit Caller(const WorkerOptions& options = {})
      : worker(workers::LocalWorker::start(options, 1)) {
    worker->use_bell(7);
  }
  ~Caller() { worker->kill(); }

  template <class F, class... Args>
  auto call(F callable, Args... args) {
    using R = TaskResult<F, Args...>;
    Encoder encoder;
    send_call<F, Args...>(encoder, callable, args...);
    ipc::FieldWriter payload;
    workers::write_payload(payload, encoder.meta(), encoder.segments(), nullptr);
    ipc::FieldWriter frame;
    frame.put(std::uint32_t{1});
    frame.put(std::uint32_t{0});
    frame.put(std::uint64_t{1} << 20);
    frame.put(worker->function_number(reinterpret_cast<const void*>(&run_call<F, Args...>)));
    frame.put(std::uint32_t{0});
    frame.put(std::uint64_t{0});
    frame.put(std::uint32_t{1});
    frame.put(std::uint32_t{0});
    frame.put(static_cast<std::uint32_t>(payload.size()));
    frame.append(payload.bytes().data(), payload.size());
    if (!worker->send(ipc::Kind::tasks, frame.bytes())) throw std::runtime_error("dead");
    worker->ring();
    return finish<R>();
  }

  template <class R>
  R finish() {
    std::optional<std::conditional_t<std::is_void_v<R>, int, R>> result;
    bool answered = false;
    while (!answered) {
      ipc::BellBoard::here().bell(7).wait(ipc::Clock::now() + std::chrono::seconds(20),
                                          [&] { return worker->has_input() || worker->dead(); });
      const std::size_t n = worker->receive(
          [&](ipc::Kind kind, std::span<const std::byte> content) {
            if (kind == ipc::Kind::initialized) return;
            ipc::FieldReader fields(content);
            fields.get<std::int64_t>();
            fields.get<std::int64_t>();
            if (kind == ipc::Kind::error) std::rethrow_exception(unpack_error(fields.left()));
            REQUIRE(kind == ipc::Kind::results);
            REQUIRE(fields.get<std::uint32_t>() == 1);
            fields.get<std::uint32_t>();
            const auto payload = fields.take(fields.get<std::uint32_t>());
            workers::PayloadSource source(payload, worker->segments(), true);
            Decoder decoder(source);
            if constexpr (std::is_void_v<R>) {
              result = 0;
            } else {
              result = receive_result<R>(decoder);
            }
            answered = true;
          },
          1);
      worker->ring();
      if (n == 0 && worker->dead()) throw std::runtime_error("died");
    }
    if constexpr (!std::is_void_v<R>) return std::move(*result);
  }

  std::shared_ptr<workers::LocalWorker> worker;
};

int twice(int x) { return 2 * x; }

}  // namespace

TEST_CASE("a worker runs functions and returns results and errors") {
  Caller caller;
  CHECK(caller.call(&twice, 21) == 42);
  CHECK(caller.call([] { return static_cast<int>(::getppid()); }) == ::getpid());
  CHECK(caller.call([](const std::string& s) { return s + s; }, std::string(300000, 'x')).size() ==
        600000);
  CHECK_THROWS_AS(caller.call([] { throw std::out_of_range("far"); }), std::out_of_range);
  CHECK(caller.call(&twice, 4) == 8);
  CHECK(caller.call([] { return in_worker(); }));
}

TEST_CASE("a worker inherits nothing but its channel") {
  Caller caller;
  // 0, 1, 2, the channel, and descriptors that the worker opened for it: none is the parent's.
  CHECK(caller.call([] {
    char c = 0;
    return static_cast<long>(::read(0, &c, 1));
  }) == 0);
  CHECK(caller.call([] { return std::string(std::getenv("OMP_NUM_THREADS")); }) == "1");
  CHECK(caller.call([] { return std::getenv("HOIST_WORKER_CHANNEL") == nullptr; }));
}

TEST_CASE("large results are adopted") {
  Caller caller;
  const auto array = caller.call(
      [](std::size_t n) {
        auto a = Array<double>::uninitialized({n});
        for (std::size_t i = 0; i < n; ++i) a(i) = static_cast<double>(i);
        return a;
      },
      std::size_t{1000000});
  CHECK(array(999999) == 999999);
  CHECK(array.storage()->backing().fd >= 0);
  const auto vector =
      caller.call([](std::size_t n) { return std::vector<int>(n, 3); }, std::size_t{1000000});
  CHECK(vector.size() == 1000000);
  CHECK(vector.back() == 3);
}

TEST_CASE("the end of a worker is seen, with its signal and last words") {
  Caller caller;
  CHECK_THROWS_WITH(caller.call([] {
    std::fputs("last words\n", stderr);
    ::raise(SIGKILL);
  }),
                    "died");
  CHECK(caller.worker->end().how.signal == SIGKILL);
  CHECK(caller.worker->end().last_lines == "last words");
  Caller other;
  CHECK_THROWS_WITH(other.call([] { std::exit(42); }), "died");
  CHECK(other.worker->end().how.exit_code == 42);
}

TEST_CASE("initializers make a state for the tasks") {
  Caller caller({.initializer = {[](int x) { return std::vector<int>(3, x); }, 5}});
  CHECK(caller.call([] { return worker_state<std::vector<int>>()[2]; }) == 5);
  CHECK_THROWS_AS(caller.call([] { return worker_state<int>(); }), BadArgument);
}

TEST_CASE("the pool keeps workers and lets them go") {
  const WorkerOptions options{.env = {{"POOL_TEST", "1"}}};
  auto first = workers::WorkerPool::here().lease(options, 1);
  const int pid = first->pid();
  workers::WorkerPool::here().give_back(first, options, 1, 2);
  first = workers::WorkerPool::here().lease(options, 1);
  CHECK(first->pid() == pid);
  // This time had overflowed.
  const WorkerOptions never{.idle_timeout = std::chrono::milliseconds::max()};
  auto staying = workers::WorkerPool::here().lease(never, 1);
  const int staying_pid = staying->pid();
  workers::WorkerPool::here().give_back(std::move(staying), never, 1, 2);
  const WorkerOptions brief{.idle_timeout = std::chrono::milliseconds(1)};
  auto second = workers::WorkerPool::here().lease(brief, 1);
  workers::WorkerPool::here().give_back(second, brief, 1, 2);
  const auto limit = ipc::Clock::now() + std::chrono::seconds(20);
  while (!second->dead() && ipc::Clock::now() < limit) std::this_thread::yield();
  CHECK(second->dead());
  CHECK(second->end().how.exit_code == 0);
  CHECK(second->end().how.signal == 0);
  workers::WorkerPool::here().give_back(first, options, 1, 0);
  staying = workers::WorkerPool::here().lease(never, 1);
  CHECK(staying->pid() == staying_pid);
  workers::WorkerPool::here().give_back(staying, never, 1, 0);
}
