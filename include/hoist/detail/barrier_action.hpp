// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/code_address.hpp>
#include <hoist/detail/travel.hpp>

#include <memory>
#include <type_traits>
#include <utility>

namespace hoist::detail {

/// What is done each time that a barrier is passed. Each process has its own, which came along with
/// the barrier.
class BarrierAction {
 public:
  virtual ~BarrierAction() = default;
  virtual void run() const = 0;
  /// Writes it, with the code that reads it.
  virtual void send(Encoder& to) const = 0;

  using Receive = std::shared_ptr<const BarrierAction> (*)(Decoder& from);
  static std::shared_ptr<const BarrierAction> receive(Decoder& from) {
    return reinterpret_cast<Receive>(const_cast<void*>(decode_code(from)))(from);
  }
};

template <class F>
class ActionOf final : public BarrierAction {
  static_assert(std::is_invocable_v<const F&>,
                "hoist: the action of a barrier is called without arguments, as const");

 public:
  explicit ActionOf(F action) : action_(std::move(action)) {}
  void run() const override { action_(); }
  void send(Encoder& to) const override {
    const Receive code = &receive_this;
    encode_code(to, reinterpret_cast<const void*>(code));
    detail::send<F>(to, action_);
  }

 private:
  static std::shared_ptr<const BarrierAction> receive_this(Decoder& from) {
    Received<F> action(from);
    return std::make_shared<ActionOf>(std::move(action.get()));
  }

  F action_;
};

}  // namespace hoist::detail
