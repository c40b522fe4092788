// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/arguments.hpp>
#include <hoist/detail/callable.hpp>
#include <hoist/detail/code_address.hpp>
#include <hoist/detail/memo.hpp>
#include <hoist/values.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <variant>

// A call of a cached function on its caller's stack: the arguments, and the place of the result.

namespace hoist::detail {

/// A function's result as something that can be stored.
template <class R>
using Shelvable = std::conditional_t<std::is_void_v<R>, std::monostate, R>;

/// The place a call's result is computed or decoded to.
template <class Value>
struct ResultFrame {
  static void encode(const void* raw, Encoder& encoder) {
    Form<Value>::traverse(encoder, *static_cast<const ResultFrame*>(raw)->result);
  }
  /// A result that is already there is kept if decoding fails.
  static void decode(void* raw, Decoder& decoder) {
    auto& result = static_cast<ResultFrame*>(raw)->result;
    if (!result) return Form<Value>::traverse(decoder, result.emplace());
    const auto fresh = std::make_unique<Value>();
    Form<Value>::traverse(decoder, *fresh);
    result.emplace(std::move(*fresh));
  }
  static constexpr CallOps reading{&schema_of<EntryRecord<Value>>, &encode, &decode, nullptr};

  std::optional<Value> result;
};

/// The version of what keys are made of (docs/formats/entry.md).
inline constexpr std::uint8_t key_format = 2;

/// One call. It refers to the function and to the arguments, which have to outlive it.
template <class F, class R, class... Ps>
struct CallFrame : ResultFrame<Shelvable<std::remove_cvref_t<R>>> {
  using Result = std::remove_cvref_t<R>;
  using Base = ResultFrame<Shelvable<Result>>;

  explicit CallFrame(const F& f, Ps&&... values) : function(f), args(std::forward<Ps>(values)...) {}

  /// Runs the function. Its arguments may be moved from afterwards.
  void compute() {
    const auto run = [this](auto&&... values) -> decltype(auto) {
      return call(function, std::forward<Ps>(values)...);
    };
    if constexpr (std::is_void_v<Result>) {
      std::apply(run, std::move(args));
      this->result.emplace();
    } else {
      decltype(auto) computed = std::apply(run, std::move(args));
      check_whole<Result>(computed);
      this->result.emplace(std::forward<decltype(computed)>(computed));
    }
  }

  Result take() {
    if constexpr (!std::is_void_v<Result>) return std::move(*this->result);
  }

  /// The call for the compiled library, as long as `hasher` lives. Its key is made of the arguments
  /// that count, then of the fields or captures of the function object.
  Call describe(Hasher& hasher, std::uint64_t ignored) {
    hasher.scalar(key_format);
    hasher.scalar(ignored);
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      // The first 64 have a bit; those behind them always count.
      ((I < 64 && (ignored >> I % 64 & 1) != 0 ? void()
                                               : hash_parameter<Ps>(hasher, std::get<I>(args))),
       ...);
    }(std::index_sequence_for<Ps...>());
    hash_state(hasher, function);
    static constexpr CallOps ops{Base::reading.entry_schema, &Base::encode, &Base::decode,
                                 &summary};
    return {&ops, static_cast<Base*>(this), hasher.digest(), hasher.gathered(), hasher.volume()};
  }

  static std::string summary(const void* raw) {
    const auto& frame = *static_cast<const CallFrame*>(static_cast<const Base*>(raw));
    std::string text;
    std::apply(
        [&](const auto&... values) {
          ((text += text.empty() ? "" : ", ", summarise<Ps>(text, values)), ...);
        },
        frame.args);
    return text;
  }

  const F& function;
  std::tuple<Ps&&...> args;
};

/// The cache of a function with these parameters; `signature` is text that tells its types.
template <class F, class... Ps>
std::shared_ptr<CallCache> open_cache(const std::shared_ptr<memory::MemoryCore>& memory, const F& f,
                                      const char* signature, const CacheOptions& options) {
  const FunctionInfo info{
      code_of(f),
      &typeid(F),
      signature,
      {(is_hashable_parameter<Ps>() ? std::string() : readable_type(typeid(Ps)))...}};
  auto cache = open_function(memory, info, options);
  if constexpr (!std::is_empty_v<F> && !Storable<F> && !std::is_pointer_v<F> &&
                !std::is_member_function_pointer_v<F>) {
    const auto captures = member_bytes(f);
    check_captures(captures.data(), captures.size());
  }
  return cache;
}

/// A function pointer, or captures: translated, since code lies elsewhere in another process.
template <class F>
void traverse_raw(Encoder& encoder, const F& f) {
  encode_raw(encoder, &f, sizeof f, typeid(F));
}
template <class F>
void traverse_raw(Decoder& decoder, F& f) {
  decode_raw(decoder, &f, sizeof f);
}

/// What a callable holds, and where addresses of code are told by their place in a module also the
/// build that they are of. In another process of the same program it is the same function.
template <class Ar, class F>
void serialize_callable(Ar& ar, F& function) {
  if constexpr (!std::is_empty_v<F> && Storable<F>) {
    ar(function);
  } else if constexpr (Ar::hashing) {
    hash_state(ar, function);
  } else if constexpr (!std::is_empty_v<F> && !Ar::describing) {
    std::string build;
    if constexpr (!Ar::decoding) build = build_of(code_of(function));
    ar(build);
    traverse_raw(ar, function);
    if constexpr (Ar::decoding) check_build(build, code_of(function));
  }
}

}  // namespace hoist::detail
