// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/arguments.hpp>
#include <hoist/detail/callable.hpp>
#include <hoist/detail/code_address.hpp>
#include <hoist/detail/memo.hpp>
#include <hoist/shelved.hpp>
#include <hoist/values.hpp>

#include <concepts>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace hoist {

namespace detail {

/// A function pointer, or captures: translated, since code lies elsewhere in another process.
template <class F>
void traverse_raw(Encoder& encoder, const F& f) {
  encode_raw(encoder, &f, sizeof f, typeid(F));
}
template <class F>
void traverse_raw(Decoder& decoder, F& f) {
  decode_raw(decoder, &f, sizeof f);
}

}  // namespace detail

/// What `call` returns: a freshly computed value and what was stored with it.
template <class R>
struct CallResult {
  R value;
  EntryMetadata metadata;
};
template <>
struct CallResult<void> {
  EntryMetadata metadata;
};

/// A function in front of a cache: `memory.cache(f)` makes one.
///
/// Calling it converts the arguments to the function's declared parameter types, hashes them, and
/// returns the stored result or else computes and stores one. Exceptions of the function pass through
/// and are not cached. Trouble with the cache never keeps a call from its result (see
/// `MemoryOptions::on_store_error`). Copies are cheap and share everything; all members may be called
/// from many threads at once, in forked and spawned workers too.
template <class F, class Signature = typename detail::SignatureOf<F>::type>
class CachedFunction;

template <class F, class R, class... Ps>
class CachedFunction<F, R(Ps...)> {
 public:
  /// What is returned: the function's result as a value.
  using Result = std::remove_cvref_t<R>;

  /// For decoding into; calling it is undefined.
  CachedFunction()
    requires std::default_initializable<F>
  = default;

  /// The result: stored, or computed and stored.
  Result operator()(Ps... args) const {
    Frame frame(function_, std::forward<Ps>(args)...);
    detail::Hasher hasher;
    detail::run_call(*cache_, describe(frame, hasher));
    return frame.take();
  }

  /// Computes and stores, whatever the cache holds. Returns the value and its metadata.
  CallResult<Result> call(Ps... args) const {
    Frame frame(function_, std::forward<Ps>(args)...);
    detail::Hasher hasher;
    EntryMetadata metadata = detail::recompute_call(*cache_, describe(frame, hasher));
    if constexpr (std::is_void_v<Result>) {
      return {std::move(metadata)};
    } else {
      return {frame.take(), std::move(metadata)};
    }
  }

  /// Whether a call would be answered from the cache. Reads the entry's metadata, not its value.
  bool check_call_in_cache(Ps... args) const {
    Frame frame(function_, std::forward<Ps>(args)...);
    detail::Hasher hasher;
    return detail::is_cached(*cache_, describe(frame, hasher));
  }

  /// Computes where needed, and returns a small handle on the stored result instead of the result.
  Shelved<Result> call_and_shelve(Ps... args) const {
    Frame frame(function_, std::forward<Ps>(args)...);
    detail::Hasher hasher;
    return Shelved<Result>(memory_, detail::shelve_call(*cache_, describe(frame, hasher)));
  }

  /// Says in words why a call would not be answered from the cache, or that it would.
  std::string explain_miss(Ps... args) const {
    Frame frame(function_, std::forward<Ps>(args)...);
    detail::Hasher hasher;
    return detail::explain_call(*cache_, describe(frame, hasher));
  }

  /// Removes all results of this function, those of its earlier versions included.
  void clear() const { detail::clear_function(*cache_); }

  /// The name under which results are stored.
  const std::string& name() const { return detail::function_name(*cache_); }

  /// The function behind the cache.
  const F& function() const noexcept { return function_; }

 private:
  friend class Memory;
  friend struct Access;
  using Value = detail::Shelvable<Result>;
  static_assert(detail::is_keyable<F>,
                "hoist can't make a key of what this callable holds: capture only plain numbers; a "
                "string, a container, whatever a pointer or a reference leads to: pass it as an "
                "argument (function objects: give the class hoist-storable public fields or a "
                "serialize member)");
  static_assert(
      Storable<Value>,
      "hoist can't store what this function returns: see hoist::Storable for the types it "
      "can, and how to make others so");
  static_assert(std::default_initializable<Value>,
                "hoist makes an empty result and fills it: the result type needs a default "
                "constructor");

  struct Frame : detail::ResultFrame<Value> {
    explicit Frame(const F& f, Ps&&... values) : function(f), args(std::forward<Ps>(values)...) {}

    Result take() {
      if constexpr (!std::is_void_v<Result>) return std::move(*this->result);
    }
    static void compute(void* raw) {
      auto& frame = *static_cast<Frame*>(static_cast<detail::ResultFrame<Value>*>(raw));
      const auto run = [&](auto&&... values) -> decltype(auto) {
        return detail::call(frame.function, std::forward<Ps>(values)...);
      };
      if constexpr (std::is_void_v<Result>) {
        std::apply(run, std::move(frame.args));
        frame.result.emplace();
      } else {
        frame.result.emplace(std::apply(run, std::move(frame.args)));
      }
    }
    static std::string summary(const void* raw) {
      const auto& frame =
          *static_cast<const Frame*>(static_cast<const detail::ResultFrame<Value>*>(raw));
      std::string text;
      std::apply(
          [&](const auto&... values) {
            ((text += text.empty() ? "" : ", ", detail::summarise<Ps>(text, values)), ...);
          },
          frame.args);
      return text;
    }

    const F& function;
    std::tuple<Ps&&...> args;
  };

  CachedFunction(std::shared_ptr<detail::memory::MemoryCore> memory, F f,
                 const CacheOptions& options)
      : memory_(std::move(memory)),
        function_(std::move(f)),
        cache_(detail::open_function(memory_, info(), options)),
        ignored_(detail::ignored_parameters(*cache_)) {
    if constexpr (!std::is_empty_v<F> && !Storable<F> && !std::is_pointer_v<F> &&
                  !std::is_member_function_pointer_v<F>) {
      const auto captures = detail::member_bytes(function_);
      detail::check_captures(captures.data(), captures.size());
    }
  }

  detail::FunctionInfo info() const {
    return {detail::code_of(function_),
            &typeid(F),
            __PRETTY_FUNCTION__,
            {(detail::is_hashable_parameter<Ps>() ? std::string() : typeid(Ps).name())...}};
  }

  /// The arguments that count, then the fields or captures of the function object.
  detail::Call describe(Frame& frame, detail::Hasher& hasher) const {
    hasher.scalar(ignored_);
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (((ignored_ >> I & 1) != 0 ? void()
                                 : detail::hash_parameter<Ps>(hasher, std::get<I>(frame.args))),
       ...);
    }(std::index_sequence_for<Ps...>());
    detail::hash_state(hasher, function_);
    static constexpr detail::CallOps ops{&detail::schema_of<EntryRecord<Value>>, &Frame::compute,
                                         &detail::ResultFrame<Value>::encode,
                                         &detail::ResultFrame<Value>::decode, &Frame::summary};
    return {&ops, static_cast<detail::ResultFrame<Value>*>(&frame), hasher.digest(),
            hasher.gathered(), hasher.volume()};
  }

  /// In another process of the same program it is the same function in front of the same cache.
  template <class Ar>
  void serialize(Ar& ar) {
    detail::serialize_core(ar, memory_);
    detail::CacheParts parts;
    if constexpr (!Ar::decoding) parts = detail::parts_of(cache_);
    ar(parts);
    if constexpr (!std::is_empty_v<F> && Storable<F>) {
      ar(function_);
    } else if constexpr (Ar::hashing) {
      detail::hash_state(ar, function_);
    } else if constexpr (!std::is_empty_v<F> && !Ar::describing) {
      std::string build;
      if constexpr (!Ar::decoding) build = detail::build_of(detail::code_of(function_));
      ar(build);
      detail::traverse_raw(ar, function_);
      if constexpr (Ar::decoding) detail::check_build(build, detail::code_of(function_));
    }
    if constexpr (Ar::decoding) {
      *this = CachedFunction(memory_, std::move(function_), detail::options_of(parts));
    }
  }

  std::shared_ptr<detail::memory::MemoryCore> memory_;
  F function_{};
  std::shared_ptr<detail::memory::FunctionCache> cache_;
  std::uint64_t ignored_ = 0;
};

}  // namespace hoist
