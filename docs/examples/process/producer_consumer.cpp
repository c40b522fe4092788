// SPDX-License-Identifier: BSD-3-Clause
//
// A producer gives work to consumers through a queue, and waits until all of it is done.

#include <hoist/hoist.hpp>

#include <cstdio>
#include <vector>

namespace {

void consume(const hoist::JoinableQueue<int>& jobs, const hoist::SharedValue<long>& sum) {
  for (const int job : jobs) {  // until the queue is closed
    sum.fetch_add(long{job} * job);
    jobs.task_done();
  }
}

}  // namespace

int main() {
  const hoist::JoinableQueue<int> jobs(10);  // at most ten wait
  const hoist::SharedValue<long> sum(0);
  std::vector<hoist::Process> consumers;
  for (int i = 0; i < 2; ++i) {
    consumers.emplace_back(consume, jobs, sum);
    consumers.back().start();
  }
  for (int job = 1; job <= 100; ++job) jobs.put(job);
  jobs.join();
  std::printf("sum of squares: %ld\n", sum.get());
  jobs.close();
  for (const hoist::Process& consumer : consumers) consumer.join();
  std::printf("consumers ended with %d and %d\n", consumers[0].exitcode().value_or(-1),
              consumers[1].exitcode().value_or(-1));
}
