// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/cached.hpp>

#include <concepts>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace hoist {

/// A cached function of any callable with this signature, as std::function is for functions: for
/// members, containers and parameters whose type should not name the callable.
///
///     CachedFn<double(const std::string&)> load_mean = memory.cache(mean_of_file);
///
/// The members are those of CachedFunction (hoist/cached.hpp has their full contract).
///
/// - Errors: those of CachedFunction. It always holds a function: there is no empty one.
/// - Threads and processes: all members may be called from many threads at once, and in children
///   that fork made. It is not a value: to hash, dump or send a cached function, or to use it in a
///   spawned worker, take the CachedFunction itself.
/// - Ownership: copies are cheap, share the function and its cache, and keep the Memory's state
///   alive.
/// - Cost: one virtual call more than CachedFunction, and a move of each argument that is passed by
///   value. Making one allocates once.
template <class Signature>
class CachedFn;

template <class R, class... Ps>
class [[nodiscard]] CachedFn<R(Ps...)> {
 public:
  /// The function's result as a value: without reference and const.
  using Result = std::remove_cvref_t<R>;

  /// Holds a cached function. Its parameters may be of other types, to which the arguments convert
  /// at each call; its result, as a value, must be the same type. Anything else does not compile.
  template <class F, class Signature>
    requires std::same_as<typename CachedFunction<F, Signature>::Result, Result> &&
             std::is_invocable_v<const CachedFunction<F, Signature>&, Ps...>
  CachedFn(CachedFunction<F, Signature> function)
      : target_(std::make_shared<Target<CachedFunction<F, Signature>>>(std::move(function))) {}

  /// Returns the stored result, or else computes and stores it.
  Result operator()(Ps... args) const { return target_->compute(std::forward<Ps>(args)...); }
  /// Computes and stores the result, whatever the cache holds, and returns it with its metadata.
  CallResult<Result> call(Ps... args) const { return target_->call(std::forward<Ps>(args)...); }
  /// Whether a call would be answered from the cache. Never computes.
  [[nodiscard]] bool check_call_in_cache(Ps... args) const {
    return target_->check_call_in_cache(std::forward<Ps>(args)...);
  }
  /// Computes and stores the result if need be, and returns a small handle on it.
  Shelved<Result> call_and_shelve(Ps... args) const {
    return target_->call_and_shelve(std::forward<Ps>(args)...);
  }
  /// The stored result, or nothing. Never computes. std::monostate for void.
  [[nodiscard]] std::optional<detail::Shelvable<Result>> cached_result(Ps... args) const {
    return target_->cached_result(std::forward<Ps>(args)...);
  }
  /// Stores `value` as the result of this call.
  void put(detail::Shelvable<Result> value, Ps... args) const {
    target_->put(std::move(value), std::forward<Ps>(args)...);
  }
  /// Says in words why a call would not be answered from the cache, or that it would.
  [[nodiscard]] std::string explain_miss(Ps... args) const {
    return target_->explain_miss(std::forward<Ps>(args)...);
  }
  /// Removes all results of the function, for all who share its cache.
  void clear() const { target_->clear(); }
  /// The function's name in metadata, statistics and messages.
  [[nodiscard]] const std::string& name() const { return target_->name(); }

 private:
  struct Interface {
    virtual ~Interface() = default;
    virtual Result compute(Ps... args) const = 0;
    virtual CallResult<Result> call(Ps... args) const = 0;
    virtual bool check_call_in_cache(Ps... args) const = 0;
    virtual Shelved<Result> call_and_shelve(Ps... args) const = 0;
    virtual std::optional<detail::Shelvable<Result>> cached_result(Ps... args) const = 0;
    virtual void put(detail::Shelvable<Result> value, Ps... args) const = 0;
    virtual std::string explain_miss(Ps... args) const = 0;
    virtual void clear() const = 0;
    virtual const std::string& name() const = 0;
  };

  template <class Function>
  struct Target final : Interface {
    explicit Target(Function f) : function(std::move(f)) {}
    Result compute(Ps... args) const override { return function(std::forward<Ps>(args)...); }
    CallResult<Result> call(Ps... args) const override {
      return function.call(std::forward<Ps>(args)...);
    }
    bool check_call_in_cache(Ps... args) const override {
      return function.check_call_in_cache(std::forward<Ps>(args)...);
    }
    Shelved<Result> call_and_shelve(Ps... args) const override {
      return function.call_and_shelve(std::forward<Ps>(args)...);
    }
    std::optional<detail::Shelvable<Result>> cached_result(Ps... args) const override {
      return function.cached_result(std::forward<Ps>(args)...);
    }
    void put(detail::Shelvable<Result> value, Ps... args) const override {
      function.put(std::move(value), std::forward<Ps>(args)...);
    }
    std::string explain_miss(Ps... args) const override {
      return function.explain_miss(std::forward<Ps>(args)...);
    }
    void clear() const override { function.clear(); }
    const std::string& name() const override { return function.name(); }

    Function function;
  };

  std::shared_ptr<const Interface> target_;
};

}  // namespace hoist
