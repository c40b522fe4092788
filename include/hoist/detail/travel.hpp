// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/code_address.hpp>
#include <hoist/values.hpp>

#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace hoist::detail {

/// How a value reaches another process.
enum class TransferMethod {
  never,
  nothing,   ///< nothing is sent, since the type says all: a lambda without captures
  storable,  ///< encoded, as in a file
  code,      ///< a pointer to a function
  raw,       ///< its bytes, where no address of this process is among them
  text,      ///< char pointers and string views: as a string, which the worker keeps
  elements,  ///< a span: as an array or vector, which the worker keeps
  referred,  ///< std::reference_wrapper: what it refers to
};

template <class T>
struct SpanOf {
  static constexpr bool is = false;
};
template <class E, std::size_t N>
struct SpanOf<std::span<E, N>> {
  static constexpr bool is = true;
  using Element = std::remove_const_t<E>;
  static constexpr bool as_array = is_array_element<Element>();
  static auto kept() {
    if constexpr (as_array) {
      return std::type_identity<Array<Element>>{};
    } else {
      return std::type_identity<std::vector<Element>>{};
    }
  }
  using Kept = typename decltype(kept())::type;
};

template <class T>
inline constexpr bool is_function_pointer =
    std::is_pointer_v<T> && std::is_function_v<std::remove_pointer_t<T>>;

template <class T>
struct ReferredBy {
  using type = void;
};
template <class T>
struct ReferredBy<std::reference_wrapper<T>> {
  using type = std::remove_const_t<T>;
};

/// How values of (decayed) type T reach another process.
template <class T>
constexpr TransferMethod transfer_method_of() {
  if constexpr (is_function_pointer<T>) {
    return TransferMethod::code;
  } else if constexpr (std::is_same_v<T, const char*> || std::is_same_v<T, char*> ||
                       std::is_same_v<T, std::string_view>) {
    return TransferMethod::text;
  } else if constexpr (SpanOf<T>::is) {
    return supported<typename SpanOf<T>::Kept>() ? TransferMethod::elements : TransferMethod::never;
  } else if constexpr (!std::is_void_v<typename ReferredBy<T>::type>) {
    using Referred = typename ReferredBy<T>::type;
    if constexpr (std::is_function_v<Referred>) {
      return TransferMethod::never;
    } else {
      return transfer_method_of<Referred>() == TransferMethod::never ? TransferMethod::never
                                                                     : TransferMethod::referred;
    }
  } else if constexpr (std::is_empty_v<T> && std::is_trivially_copyable_v<T>) {
    return TransferMethod::nothing;
  } else if constexpr (Storable<T> && std::is_default_constructible_v<T> &&
                       std::is_move_constructible_v<T>) {
    return TransferMethod::storable;
  } else if constexpr (std::is_trivially_copyable_v<T> && std::is_object_v<T>) {
    return TransferMethod::raw;
  } else {
    return TransferMethod::never;
  }
}

/// True where values of T (decayed) can be sent, as far as the type tells.
template <class T>
inline constexpr bool travels = transfer_method_of<std::decay_t<T>>() != TransferMethod::never;

[[noreturn]] void throw_cannot_travel(const std::type_info& type);

template <class T>
void send(Encoder& encoder, const T& value) {
  constexpr TransferMethod method = transfer_method_of<T>();
  if constexpr (method == TransferMethod::storable) {
    Form<T>::traverse(encoder, value);
  } else if constexpr (method == TransferMethod::code) {
    encode_code(encoder, reinterpret_cast<const void*>(value));
  } else if constexpr (method == TransferMethod::raw) {
    if constexpr (std::is_copy_constructible_v<T> && !std::is_scalar_v<T>) {
#if defined(__has_builtin) && __has_builtin(__builtin_clear_padding)
      // Old addresses may linger in padding.
      T copy(value);
      __builtin_clear_padding(&copy);
      encode_raw(encoder, &copy, sizeof copy, typeid(T));
      return;
#endif
    }
    encode_raw(encoder, std::addressof(value), sizeof value, typeid(T));
  } else if constexpr (method == TransferMethod::text) {
    if constexpr (std::is_pointer_v<T>) {
      encoder.scalar(value != nullptr);
      const std::size_t n = value != nullptr ? std::strlen(value) : 0;
      encoder.length(n);
      encoder.block(value, n);
    } else {
      encoder.length(value.size());
      encoder.block(value.data(), value.size());
    }
  } else if constexpr (method == TransferMethod::elements) {
    using Element = typename SpanOf<T>::Element;
    if constexpr (SpanOf<T>::as_array) {
      const auto view = Array<const Element>::wrap(value.data(), {value.size()});
      // Nobody owns the elements as far as the encoder can tell: they are the caller's.
      Shape shape = view.shape();
      Order order = Order::c;
      traverse_extents(encoder, shape, order);
      encoder.array_block(view.data(), view.size(), nullptr);
    } else {
      const std::vector<Element> copy(value.begin(), value.end());
      const Encoder::UserCode temporary(encoder);
      Form<std::vector<Element>>::traverse(encoder, copy);
    }
  } else if constexpr (method == TransferMethod::referred) {
    send<typename ReferredBy<T>::type>(encoder, value.get());
  } else if constexpr (method == TransferMethod::never) {
    throw_cannot_travel(typeid(T));
  }
}

/// A value that arrived, with whatever it needs to stay valid. `get()` is a T&, or a T where T is a
/// view of what is kept here.
template <class T, TransferMethod = transfer_method_of<T>()>
class Received;

template <class T>
class Received<T, TransferMethod::storable> {
 public:
  explicit Received(Decoder& decoder) { Form<T>::traverse(decoder, value_); }
  T& get() { return value_; }

 private:
  T value_{};
};

template <class T>
class Received<T, TransferMethod::code> {
 public:
  explicit Received(Decoder& decoder)
      : value_(reinterpret_cast<T>(const_cast<void*>(decode_code(decoder)))) {}
  T& get() { return value_; }

 private:
  T value_;
};

template <class T>
class Received<T, TransferMethod::raw> {
 public:
  explicit Received(Decoder& decoder) { decode_raw(decoder, bytes_, sizeof(T)); }
  T& get() { return *std::launder(reinterpret_cast<T*>(bytes_)); }

 private:
  alignas(T) std::byte bytes_[sizeof(T)];
};

template <class T>
class Received<T, TransferMethod::nothing> {
 public:
  explicit Received(Decoder&) {}
  T& get() { return *std::launder(reinterpret_cast<T*>(bytes_)); }

 private:
  alignas(T) std::byte bytes_[sizeof(T)]{};
};

template <class T>
class Received<T, TransferMethod::text> {
 public:
  explicit Received(Decoder& decoder) {
    if constexpr (std::is_pointer_v<T>) Form<bool>::traverse(decoder, present_);
    Form<std::string>::traverse(decoder, text_);
  }
  T get() {
    if constexpr (std::is_pointer_v<T>) {
      return present_ ? text_.data() : nullptr;
    } else {
      return text_;
    }
  }

 private:
  bool present_ = true;
  std::string text_;
};

template <class T>
class Received<T, TransferMethod::elements> {
 public:
  explicit Received(Decoder& decoder) {
    Form<typename SpanOf<T>::Kept>::traverse(decoder, kept_);
    if constexpr (T::extent != std::dynamic_extent) {
      if (kept_.size() != T::extent) Decoder::throw_damaged();
    }
  }
  T get() { return T(kept_.data(), kept_.size()); }

 private:
  typename SpanOf<T>::Kept kept_;
};

template <class T>
class Received<T, TransferMethod::referred> {
  using Referred = typename ReferredBy<T>::type;

 public:
  explicit Received(Decoder& decoder) : value_(decoder) {}
  T get() { return T(value_.get()); }

 private:
  Received<Referred> value_;
};

/// Never made: lets code that handles all types compile for those that can't be sent.
template <class T>
class Received<T, TransferMethod::never> {
 public:
  explicit Received(Decoder&) { throw_cannot_travel(typeid(T)); }
  T& get() { throw_cannot_travel(typeid(T)); }
};

}  // namespace hoist::detail
