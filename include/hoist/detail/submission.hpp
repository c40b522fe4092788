// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/backend.hpp>
#include <hoist/detail/future_state.hpp>
#include <hoist/detail/loop_calls.hpp>

#include <cstddef>
#include <optional>
#include <type_traits>
#include <utility>

namespace hoist::detail {

/// A call that was submitted to an executor, independent of its types.
class Submission {
 public:
  explicit Submission(FutureState& future) : future_(future) {}
  Submission(const Submission&) = delete;
  Submission& operator=(const Submission&) = delete;

  FutureState& future() noexcept { return future_; }
  /// Its index in the executor's loop.
  std::size_t task = 0;
  /// Makes the call and keeps what it returns. `again`: it may have to be made once more.
  virtual void run(bool again) = 0;
  /// The call is over: destroys function and arguments.
  virtual void drop_call() noexcept = 0;
  virtual void check_repeats() const = 0;
  // As in LoopTasks.
  virtual PortableCode portable() const = 0;
  virtual void encode(Encoder& to) const = 0;
  virtual void encode_result(Encoder& to) = 0;
  virtual void decode_result(Decoder& from) = 0;
  virtual void discard_result() noexcept = 0;

 protected:
  ~Submission() = default;

 private:
  FutureState& future_;
};

/// `Call` is what delayed(f)(args...) returns.
template <class Call>
class SubmittedCall final : public FutureValue<DelayedCalls::ResultOf<Call>>, public Submission {
 public:
  using Result = DelayedCalls::ResultOf<Call>;

  explicit SubmittedCall(Call call)
      : Submission(static_cast<FutureState&>(*this)), call_(std::move(call)) {}

  void run(bool again) override {
    this->set_value([&] { return kept_result<Result>([&] { return make(again); }); });
  }
  void drop_call() noexcept override { call_.reset(); }
  void check_repeats() const override { DelayedCalls::check_repeats(std::type_identity<Call>{}); }
  PortableCode portable() const override {
    return DelayedCalls::portable<Result>(std::type_identity<Call>{});
  }
  void encode(Encoder& to) const override { DelayedCalls::encode_item(to, *call_); }
  void encode_result(Encoder& to) override { encode_kept<Result>(to, this->value()); }
  void decode_result(Decoder& from) override {
    this->set_value([&] { return decode_kept<Result>(from); });
  }
  void discard_result() noexcept override { this->drop_value(); }

 private:
  decltype(auto) make(bool again) { return DelayedCalls::call(*call_, again); }

  std::optional<Call> call_;
};

}  // namespace hoist::detail
