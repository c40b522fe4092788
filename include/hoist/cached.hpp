// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/cache_options.hpp>
#include <hoist/detail/arguments.hpp>
#include <hoist/detail/cacheable.hpp>
#include <hoist/detail/cached_map.hpp>
#include <hoist/detail/callable.hpp>
#include <hoist/detail/code_address.hpp>
#include <hoist/detail/memo.hpp>
#include <hoist/shelved.hpp>
#include <hoist/values.hpp>

#include <concepts>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace hoist {

class Parallel;

/// What `CachedFunction::call` returns: a freshly computed value and what was stored with it.
/// Without `value` for functions that return nothing.
template <class R>
struct CallResult {
  R value;
  EntryMetadata metadata;
};
template <>
struct CallResult<void> {
  EntryMetadata metadata;
};

/// A function with a cache in front of it: `memory.cache(f)` makes one.
///
/// All members that take arguments convert them to the function's declared parameter types and hash
/// them; the digest, the function's name, the fingerprint of its code and the values of the
/// variables it reads are the key.
///
/// - Errors: exceptions of the function pass through and are not cached. Trouble with the cache
///   (damaged entries, a full disk, a store that fails) never keeps a call from its result, unless
///   `MemoryOptions::on_store_error` says so. What else is thrown stands at each member.
/// - Threads and processes: all members may be called at once from many threads, from forked and
///   spawned workers, and while the process ends. Of the callers that ask for one result at once,
///   one computes it and the others wait (see `MemoryOptions::single_flight`).
/// - Ownership: copies are cheap and share the cache. It keeps the Memory's state alive.
/// - A cached function is itself a value: it can be hashed, dumped and sent to workers of the same
///   program, but CannotTravel is thrown if it has a validate callback or comes from another build.
/// - A cached function may call itself. A level of recursion takes less than 300 bytes of stack
///   beside the function's own frame, its arguments and its result (g++ 12, -O2).
template <class F, class Signature = typename detail::SignatureOf<F>::type>
class CachedFunction;

template <class F, class R, class... Ps>
class [[nodiscard]] CachedFunction<F, R(Ps...)> {
 public:
  /// The function's result as a value: without reference and const.
  using Result = std::remove_cvref_t<R>;

  /// A cached function of nothing, for decoding into. Calling it is undefined behaviour.
  CachedFunction()
    requires std::default_initializable<F>
  = default;

  /// Returns the stored result, or else computes and stores it.
  ///
  /// Throws what the function throws; WrongType if `mmap_mode` is `read` and the result has arrays
  /// that can be written to; what hashing an argument throws (for a FileContent NotFound and
  /// SystemError, for an object of an unregistered derived class BadArgument); with
  /// OnStoreError::fail the store's error. Cost of a hit: hashing the arguments, opening an entry,
  /// reading or mapping it, and decoding the result. A miss adds encoding the result once and
  /// writing a file; large arrays are written from where they are.
  Result operator()(Ps... args) const {
    Frame frame(function_, std::forward<Ps>(args)...);
    if (const auto missing = ask(frame, &detail::CallCache::find)) {
      frame.compute();
      missing->finish();
    }
    return frame.take();
  }

  /// Computes and stores the result, whatever the cache holds, and returns it with its metadata.
  /// Doesn't wait for others that compute it. Throws as the call operator does.
  CallResult<Result> call(Ps... args) const {
    Frame frame(function_, std::forward<Ps>(args)...);
    const auto missing = ask(frame, &detail::CallCache::replace);
    frame.compute();
    missing->finish();
    if constexpr (std::is_void_v<Result>) {
      return {std::move(missing->metadata)};
    } else {
      return {frame.take(), std::move(missing->metadata)};
    }
  }

  /// Whether a call would be answered from the cache. Reads the entry's metadata, not its value, so
  /// that damage in the value isn't seen. Never computes; throws only what hashing an argument
  /// throws.
  [[nodiscard]] bool check_call_in_cache(Ps... args) const {
    Frame frame(function_, std::forward<Ps>(args)...);
    return ask(frame, &detail::CallCache::is_cached);
  }

  /// Computes and stores the result if need be, and returns a small handle on it, which reads the
  /// result when asked to. Without a location the handle carries the encoded result itself. A
  /// result that couldn't be stored is gone: `Shelved::get` throws NotFound. Throws as the call
  /// operator does.
  Shelved<Result> call_and_shelve(Ps... args) const {
    Frame frame(function_, std::forward<Ps>(args)...);
    detail::EntryAddress address;
    if (const auto missing = ask(frame, &detail::CallCache::find_entry, address)) {
      frame.compute();
      missing->finish();
      address = std::move(missing->address);
    }
    return Shelved<Result>(memory_, std::move(address));
  }

  /// The stored result, which counts as a hit, or nothing. Never computes, waits for nobody and
  /// stores nothing. A function that returns nothing has std::monostate. Throws as the call
  /// operator does, though not what the function throws.
  [[nodiscard]] std::optional<detail::Shelvable<Result>> cached_result(Ps... args) const {
    Frame frame(function_, std::forward<Ps>(args)...);
    if (!ask(frame, &detail::CallCache::read)) return std::nullopt;
    return std::move(frame.result);
  }

  /// Stores `value` as the result of this call, in place of the one that is there: what was
  /// computed elsewhere or earlier. Its metadata has a duration of zero. A Memory without a
  /// location drops it. Throws BadArgument if the Memory is read-only, otherwise as the call
  /// operator does.
  void put(detail::Shelvable<Result> value, Ps... args) const {
    Frame frame(function_, std::forward<Ps>(args)...);
    frame.result.emplace(std::move(value));
    ask(frame, &detail::CallCache::put);
  }

  /// The results for all elements of a range, each the argument of a call (or, with `starmap`, the
  /// tuple of its arguments), in their order: what is stored is read by the calling thread, all
  /// else computed, and stored, by `parallel.map`. Throws what that and the call operator throw;
  /// what was computed until then stays stored. Results are a vector, or nothing for void.
  template <std::ranges::input_range Range>
  auto map(Range&& range, const Parallel& parallel) const {
    return detail::map_cached<Result>(*this, range, parallel);
  }
  template <std::ranges::input_range Range>
  auto starmap(Range&& range, const Parallel& parallel) const {
    return detail::starmap_cached<Result>(*this, range, parallel);
  }

  /// Handles on all results of this function that are stored for its present code or version, in
  /// no particular order. Throws what the store throws. Cost: a look at the names of its entries.
  [[nodiscard]] std::vector<Shelved<Result>> entries() const {
    std::vector<Shelved<Result>> found;
    for (auto& address : cache_->entries()) {
      found.push_back(Shelved<Result>(memory_, std::move(address)));
    }
    return found;
  }

  /// Says in words why a call would not be answered from the cache, or that it would. For people:
  /// the wording may change. Throws what the store throws. Cost: after a miss, a look at the names
  /// of all entries of this function.
  [[nodiscard]] std::string explain_miss(Ps... args) const {
    Frame frame(function_, std::forward<Ps>(args)...);
    return ask(frame, &detail::CallCache::explain);
  }

  /// Removes all results of this function, those of its earlier versions included. Results already
  /// mapped stay valid. Throws what the store throws. Cost: a look at each entry.
  void clear() const { cache_->clear(); }

  /// The function's name in metadata, statistics and messages: `CacheOptions::name`, or as in the
  /// source.
  [[nodiscard]] const std::string& name() const { return cache_->name(); }

  /// The function behind the cache. Calling it bypasses the cache.
  [[nodiscard]] const F& function() const noexcept { return function_; }

 private:
  friend class Memory;
  friend struct Access;
  static_assert(sizeof(detail::Cacheable<F>) + sizeof(detail::CacheableResult<F>) > 0);

  using Frame = detail::CallFrame<F, R, Ps...>;

  CachedFunction(std::shared_ptr<detail::memory::MemoryCore> memory, F f,
                 const CacheOptions& options)
      : memory_(std::move(memory)),
        function_(std::move(f)),
        cache_(detail::open_cache<F, Ps...>(memory_, function_, __PRETTY_FUNCTION__, options)) {}

  /// Calls a member of the cache with this call. A function of its own, so that the hasher is off
  /// the stack before the cached function runs.
  template <class Answer, class... More>
  [[gnu::noinline]] Answer ask(Frame& frame,
                               Answer (detail::CallCache::*question)(const detail::Call&, More...),
                               std::type_identity_t<More>... more) const {
    detail::Hasher hasher;
    return (cache_.get()->*question)(frame.describe(hasher, cache_->ignored()), more...);
  }

  /// In another process of the same program it is the same function in front of the same cache.
  template <class Ar>
  void serialize(Ar& ar) {
    detail::serialize_core(ar, memory_);
    detail::CacheParts parts;
    if constexpr (!Ar::decoding) {
      if (cache_ != nullptr) parts = cache_->parts();
    }
    ar(parts);
    detail::serialize_callable(ar, function_);
    if constexpr (Ar::decoding) {
      *this = CachedFunction(memory_, std::move(function_), detail::options_of(parts));
    }
  }

  std::shared_ptr<detail::memory::MemoryCore> memory_;
  F function_{};
  std::shared_ptr<detail::CallCache> cache_;
};

}  // namespace hoist
