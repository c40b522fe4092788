// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/digest.hpp>
#include <hoist/future.hpp>

#include <cstdint>
#include <memory>

namespace hoist::detail {

/// How the computation of a result has ended, for coroutines that wait for it.
enum class FlightEnd : std::uint8_t {
  stored,
  not_stored,  ///< so each waiter computes by itself
  failed,      ///< the next one may try
};

/// The computation of a result in this process by the coroutine that asked for it first.
class AwaitedFlight {
 public:
  /// Begins the computation that `key` stands for. Null if another coroutine is at it; its end is
  /// then what `end` will tell.
  static std::unique_ptr<AwaitedFlight> begin(const Digest& key, Future<FlightEnd>& end);

  AwaitedFlight(const AwaitedFlight&) = delete;
  AwaitedFlight& operator=(const AwaitedFlight&) = delete;
  /// Tells those that wait; `failed` unless `ended` was called.
  ~AwaitedFlight();
  void ended(FlightEnd end) noexcept { end_ = end; }

 private:
  explicit AwaitedFlight(const Digest& key) : key_(key) {}

  Digest key_;
  FlightEnd end_ = FlightEnd::failed;
};

}  // namespace hoist::detail
