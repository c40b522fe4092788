// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/awaited_flights.hpp>
#include <hoist/hash.hpp>

#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "os/fork_hook.hpp"

namespace hoist::detail {

namespace {

/// Who waits for what is being computed.
struct Flights {
  std::mutex mutex;
  std::unordered_map<Digest, std::vector<Promise<FlightEnd>>> waiting;
  os::ForkHook fork_hook{mutex};
};

/// A forked child computes by itself what coroutines of its parent are at.
constinit os::PerProcess<Flights> flights;

}  // namespace

std::unique_ptr<AwaitedFlight> AwaitedFlight::begin(const Digest& key, Future<FlightEnd>& end) {
  Promise<FlightEnd> promise;
  std::unique_ptr<AwaitedFlight> flight(new AwaitedFlight(key));
  Flights& all = flights.here();
  {
    const std::lock_guard lock(all.mutex);
    const auto [at, is_first] = all.waiting.try_emplace(key);
    if (is_first) return flight;
    end = promise.future();
    at->second.push_back(std::move(promise));
  }
  flight->key_ = {};  // another one's
  return nullptr;
}

AwaitedFlight::~AwaitedFlight() {
  if (key_ == Digest()) return;
  std::vector<Promise<FlightEnd>> waiting;
  Flights& all = flights.here();
  {
    const std::lock_guard lock(all.mutex);
    const auto at = all.waiting.find(key_);
    if (at == all.waiting.end()) return;  // in a forked child
    waiting = std::move(at->second);
    all.waiting.erase(at);
  }
  for (auto& promise : waiting) {
    try {
      promise.set_value(end_);
    } catch (...) {
      // Memory is short: the promise that is destroyed tells that, too.
    }
  }
}

}  // namespace hoist::detail
