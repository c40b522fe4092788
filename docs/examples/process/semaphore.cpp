// SPDX-License-Identifier: BSD-3-Clause
//
// Four processes use two printers. What a process has acquired is given back even if it is killed.

#include <hoist/hoist.hpp>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <mutex>
#include <thread>

namespace {

using namespace std::chrono_literals;

int print_pages(const hoist::Semaphore& printers, const hoist::SharedValue<int>& at_work, int job) {
  const std::lock_guard printer(printers);
  const int now = ++at_work;
  if (now > 2) throw std::runtime_error("more than two are printing");
  if (job == 3) std::raise(SIGKILL);
  std::this_thread::sleep_for(10ms);
  --at_work;
  return job;
}

}  // namespace

int main() {
  const hoist::Semaphore printers(2);
  const hoist::SharedValue<int> at_work(0);
  const hoist::Parallel parallel({.n_jobs = 4, .backend = "fork"});
  const auto job = [&](int i) { return hoist::delayed(print_pages)(printers, at_work, i); };
  for (const int done : parallel(std::vector{job(0), job(1), job(2)})) {
    std::printf("job %d is printed\n", done);
  }
  try {
    parallel(std::vector{job(3)});
  } catch (const hoist::WorkerDied& error) {
    std::printf("a printing process was ended by signal %d\n", error.signal());
  }
  if (printers.try_acquire_for(1s) && printers.try_acquire_for(1s)) {
    std::puts("both printers are free again");
  }
}
