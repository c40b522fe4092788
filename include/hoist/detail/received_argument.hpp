// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/call_traits.hpp>
#include <hoist/detail/callable.hpp>
#include <hoist/detail/shared_parts.hpp>
#include <hoist/detail/travel.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

// Arguments of tasks. Where several tasks get equal, large values a worker decodes them once.

namespace hoist::detail {

/// True for types whose large values are worth keeping decoded. Arrays are mapped as they are.
template <class T>
constexpr bool is_kept() {
  if constexpr (transfer_method_of<T>() != TransferMethod::storable || AnyArray<T> ||
                std::is_trivially_copyable_v<T>) {
    return false;
  } else {
    return can_copy<T>();
  }
}

/// What a std::reference_wrapper<const T> refers to is an argument of type T.
template <class T>
concept ReferenceToKept =
    transfer_method_of<T>() == TransferMethod::referred && !refers_to_mutable<T> &&
    !Derivable<typename ReferredBy<T>::type> && is_kept<typename ReferredBy<T>::type>();

template <class T>
void send_as_argument(Encoder& encoder, const T& value) {
  encoder.set_for_process();
  if constexpr (is_kept<T>()) {
    const Encoder::Part part = encoder.begin_part();
    Form<T>::traverse(encoder, value);
    encoder.end_part(part);
  } else if constexpr (ReferenceToKept<T>) {
    send_as_argument<typename ReferredBy<T>::type>(encoder, value.get());
  } else {
    send<T>(encoder, value);
  }
}

/// True if a callable with one signature takes its `I`-th argument, a T, by const reference.
template <class F, std::size_t I, class T>
constexpr bool only_reads() {
  if constexpr (HasSignature<std::remove_const_t<F>>) {
    return []<class R, class... Ps>(std::type_identity<R(Ps...)>) {
      if constexpr (I < sizeof...(Ps)) {
        return std::is_same_v<std::tuple_element_t<I, std::tuple<Ps...>>, const T&>;
      } else {
        return false;
      }
    }(std::type_identity<typename SignatureOf<std::remove_const_t<F>>::type>{});
  } else {
    return false;
  }
}

/// An argument that arrived, as send_as_argument sent it.
template <class T>
class ReceivedArgument : public Received<T> {
 public:
  using Received<T>::Received;
};

template <class T>
  requires(is_kept<T>())
class ReceivedArgument<T> {
 public:
  explicit ReceivedArgument(Decoder& decoder) {
    std::uint8_t packed = 0;
    decoder.scalar(packed);
    if (packed != 0) {
      parts_ = decode_shared_parts(decoder, decoder.length());
    } else {
      Form<T>::traverse(decoder, own_.emplace());
    }
  }

  /// The value, which other tasks may get as well.
  const T& read() {
    if (own_) return *own_;
    if (kept_ == nullptr) kept_ = decode_shared<T>(*parts_);
    return *kept_;
  }
  /// The task's own value. No copy of a kept one, with which it might share memory.
  T& get() {
    if (!own_) {
      EncodedSource source = parts_->source();
      decode(source, own_.emplace());
    }
    return *own_;
  }

 private:
  std::shared_ptr<const SharedParts> parts_;
  std::shared_ptr<const T> kept_;
  std::optional<T> own_;
};

template <ReferenceToKept T>
class ReceivedArgument<T> {
 public:
  explicit ReceivedArgument(Decoder& decoder) : referred_(decoder) {}
  T read() { return T(referred_.read()); }
  T get() { return T(referred_.get()); }

 private:
  ReceivedArgument<typename ReferredBy<T>::type> referred_;
};

/// Whether a callable F may get its `I`-th argument, a T, as other tasks get it.
template <class F, std::size_t I, class T>
constexpr bool reads_kept() {
  if constexpr (is_kept<T>()) {
    return only_reads<F, I, T>();
  } else if constexpr (ReferenceToKept<T>) {
    return only_reads<F, I, typename ReferredBy<T>::type>();
  } else {
    return false;
  }
}

/// The `I`-th argument for a callable F that takes an rvalue T, or const T&.
template <class F, std::size_t I, class T>
decltype(auto) pass(ReceivedArgument<T>& argument) {
  if constexpr (reads_kept<F, I, T>()) {
    return argument.read();
  } else {
    // get() of a view returns a temporary, which is passed on by value.
    return static_cast<std::conditional_t<std::is_reference_v<decltype(argument.get())>, T&&, T>>(
        argument.get());
  }
}

}  // namespace hoist::detail
