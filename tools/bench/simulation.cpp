// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <hoist/backend.hpp>
#include <hoist/detail/code_address.hpp>
#include <hoist/parallel.hpp>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <deque>
#include <ranges>
#include <string>
#include <utility>
#include <vector>

#include "backends/task_frames.hpp"
#include "bench.hpp"
#include "remote/remote_backend.hpp"
#include "remote/wire.hpp"

// A loop of this process on more machines than there are: those are simulated, in the same thread,
// so that what they cost counts as the master's. All the rest is as it is on a cluster.

namespace {

using namespace hoist::detail;
namespace kind = remote::kind;
using Clock = std::chrono::steady_clock;

constexpr unsigned slots = 64;
constexpr auto task_time = std::chrono::seconds(1);
constexpr std::size_t rounds = 20;  ///< tasks of each worker
constexpr double target = 0.95;

/// Never runs: its results are made by the hosts.
int square(int x) { return x * x; }

class SimulatedHosts final : public remote::Transport {
 public:
  explicit SimulatedHosts(unsigned hosts) : hosts_(hosts) {
    Encoder encoder;
    encode_kept<int>(encoder, Kept<int>(1));
    result_.put(static_cast<std::uint32_t>(sizeof(std::uint32_t) + encoder.meta().size()));
    result_.put(std::uint32_t{0});  // segments
    result_.append(encoder.meta().data(), encoder.meta().size());
  }

  void send(remote::Peer to, std::vector<std::byte> message) override {
    hosts_.at(to).inbox.add(
        message, [&](ipc::Kind what, std::uint32_t worker, std::span<const std::byte> content) {
          take(hosts_[to], what, worker, content);
        });
  }
  std::size_t unsent(remote::Peer) const override { return 0; }
  void drop(remote::Peer) override {}
  void close() override {}
  std::chrono::microseconds round_trip() const override { return std::chrono::microseconds(500); }
  std::chrono::microseconds poll_interval() const override {
    return std::chrono::microseconds(100);
  }

  bool poll(Events& events) override {
    if (!std::exchange(have_joined_, true)) join(events);
    for (const auto now = Clock::now(); !running_.empty() && running_.front().end <= now;) {
      const Running one = running_.front();
      running_.pop_front();
      end_task(*one.host, one.worker);
    }
    for (Host* const host : std::exchange(with_news_, {})) {
      const std::vector<std::byte> frames = std::exchange(host->frames, {});
      events.received(static_cast<remote::Peer>(host - hosts_.data()), frames);
    }
    return false;
  }

 private:
  struct Worker {
    std::size_t tasks = 0;  ///< that it has, the one that it runs included
    std::uint64_t begun = 0;
    bool is_stopped = false;
  };
  struct Host {
    remote::Inbox inbox;
    std::vector<std::byte> frames;
  };
  struct Running {
    Clock::time_point end;
    Host* host;
    std::uint32_t worker;
  };

  void join(Events& events) {
    ipc::FieldWriter hello;
    hello.put(remote::protocol_version);
    hello.put(std::uint32_t{slots});
    hello.put(std::uint32_t{slots});
    hello.text(module_name(0).build_id);
    for (remote::Peer peer = 0; peer < hosts_.size(); ++peer) {
      events.joined(peer, fmt::format("n{}", peer));
      answer(hosts_[peer], kind::hello, 0, hello.bytes());
    }
  }

  void answer(Host& host, ipc::Kind what, std::uint32_t worker,
              std::span<const std::byte> content) {
    if (host.frames.empty()) with_news_.push_back(&host);
    remote::append_frame(host.frames, what, worker, content);
  }

  void take(Host& host, ipc::Kind what, std::uint32_t number, std::span<const std::byte> content) {
    if (what == kind::start) {
      workers_.resize(std::max<std::size_t>(workers_.size(), number + 1));
      ipc::FieldWriter ready;
      ready.put(std::int64_t{number});
      return answer(host, ipc::Kind::ready, number, ready.bytes());
    }
    if (number >= workers_.size()) return;  // of the host itself
    Worker& worker = workers_[number];
    ipc::FieldWriter begun;
    begun.put(worker.begun);
    if (what == ipc::Kind::tasks) {
      backends::TasksHead head;
      std::memcpy(&head, content.data(), sizeof head);
      worker.tasks += head.count;
      if (worker.tasks == head.count) begin_task(host, number, worker);
    } else if (what == kind::begun) {
      answer(host, kind::begun, number, begun.bytes());
    } else if (what == kind::flush) {
      answer(host, kind::flushed, number, {});
    } else if (what == kind::stop) {
      answer(host, ipc::Kind::stopped, number, begun.bytes());
      worker.is_stopped = worker.tasks > 0;
      worker.tasks = worker.is_stopped ? 1 : 0;
      if (!worker.is_stopped) answer(host, ipc::Kind::resumed, number, {});
    }
  }

  void begin_task(Host& host, std::uint32_t number, Worker& worker) {
    ++worker.begun;
    running_.push_back({Clock::now() + task_time, &host, number});
  }

  void end_task(Host& host, std::uint32_t number) {
    ipc::FieldWriter results;
    results.put(std::int64_t{-Clock::duration(task_time).count()});
    results.put(Clock::duration(task_time).count());
    results.put(std::uint32_t{1});
    results.put(std::uint32_t{0});
    results.append(result_.bytes().data(), result_.size());
    answer(host, ipc::Kind::results, number, results.bytes());
    Worker& worker = workers_[number];
    if (std::exchange(worker.is_stopped, false)) answer(host, ipc::Kind::resumed, number, {});
    if (--worker.tasks > 0) begin_task(host, number, worker);
  }

  std::vector<Host> hosts_;
  std::vector<Worker> workers_;  // by the master's numbers
  ipc::FieldWriter result_;
  bool have_joined_ = false;
  std::deque<Running> running_;  // in the order of their ends, as all take equally long
  std::vector<Host*> with_news_;
};

remote::Hosts* simulated = nullptr;

/// How much of their time the workers of so many hosts are at work, in a loop from its start to its
/// end.
double utilisation(unsigned hosts) {
  simulated = new remote::Hosts("simulated", std::make_unique<SimulatedHosts>(hosts));
  const std::size_t workers = std::size_t{hosts} * slots;
  const auto tasks = std::views::iota(0, static_cast<int>(workers * rounds));
  const double took = bench::seconds(
      [&] { bench::keep(hoist::Parallel({.backend = "simulated"}).map(tasks, square).size()); });
  const double work = std::chrono::duration<double>(task_time).count();
  return static_cast<double>(rounds) * work / took;
}

void simulation() {
  hoist::register_backend("simulated", [] {
    return std::make_shared<remote::RemoteBackend>([]() -> remote::Hosts& { return *simulated; });
  });
  bench::note(fmt::format("tasks of 1 s, {} for each worker, {} workers on a host", rounds, slots));
  for (const unsigned hosts : {100U, 500U, 1000U}) {
    bench::row(fmt::format("loop on {} simulated hosts", hosts), "of the time", utilisation(hosts),
               "all of it", 1, bench::Goal::at_least, target);
  }
  bench::note(fmt::format("on 2000 hosts: {:.3f}", utilisation(2000)));
}

const bench::Group group("simulation", simulation);

}  // namespace
