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

/// By which means a value reaches another process.
enum class Way {
  never,
  nothing,   ///< the type says all: a lambda without captures
  storable,  ///< encoded, as in a file
  code,      ///< a pointer to a function
  raw,       ///< its bytes, after a look for addresses of this process among them
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

/// The way of (decayed) type T.
template <class T>
constexpr Way way_of() {
  if constexpr (is_function_pointer<T>) {
    return Way::code;
  } else if constexpr (std::is_same_v<T, const char*> || std::is_same_v<T, char*> ||
                       std::is_same_v<T, std::string_view>) {
    return Way::text;
  } else if constexpr (SpanOf<T>::is) {
    return supported<typename SpanOf<T>::Kept>() ? Way::elements : Way::never;
  } else if constexpr (!std::is_void_v<typename ReferredBy<T>::type>) {
    using Referred = typename ReferredBy<T>::type;
    if constexpr (std::is_function_v<Referred>) {
      return Way::never;
    } else {
      return way_of<Referred>() == Way::never ? Way::never : Way::referred;
    }
  } else if constexpr (std::is_empty_v<T> && std::is_trivially_copyable_v<T>) {
    return Way::nothing;
  } else if constexpr (Storable<T> && std::is_default_constructible_v<T> &&
                       std::is_move_constructible_v<T>) {
    return Way::storable;
  } else if constexpr (std::is_trivially_copyable_v<T> && std::is_object_v<T>) {
    return Way::raw;
  } else {
    return Way::never;
  }
}

/// True where values of T (decayed) can be sent, as far as the type tells.
template <class T>
inline constexpr bool travels = way_of<std::decay_t<T>>() != Way::never;

[[noreturn]] void throw_cannot_travel(const std::type_info& type);

template <class T>
void send(Encoder& encoder, const T& value) {
  constexpr Way way = way_of<T>();
  if constexpr (way == Way::storable) {
    Form<T>::traverse(encoder, value);
  } else if constexpr (way == Way::code) {
    encode_code(encoder, reinterpret_cast<const void*>(value));
  } else if constexpr (way == Way::raw) {
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
  } else if constexpr (way == Way::text) {
    if constexpr (std::is_pointer_v<T>) {
      encoder.scalar(value != nullptr);
      const std::size_t n = value != nullptr ? std::strlen(value) : 0;
      encoder.length(n);
      encoder.block(value, n);
    } else {
      encoder.length(value.size());
      encoder.block(value.data(), value.size());
    }
  } else if constexpr (way == Way::elements) {
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
  } else if constexpr (way == Way::referred) {
    send<typename ReferredBy<T>::type>(encoder, value.get());
  } else if constexpr (way == Way::never) {
    throw_cannot_travel(typeid(T));
  }
}

/// A value that arrived, with whatever it needs to stay valid. `get()` is a T&, or a T where T is a
/// view of what is kept here.
template <class T, Way = way_of<T>()>
class Received;

template <class T>
class Received<T, Way::storable> {
 public:
  explicit Received(Decoder& decoder) { Form<T>::traverse(decoder, value_); }
  T& get() { return value_; }

 private:
  T value_{};
};

template <class T>
class Received<T, Way::code> {
 public:
  explicit Received(Decoder& decoder)
      : value_(reinterpret_cast<T>(const_cast<void*>(decode_code(decoder)))) {}
  T& get() { return value_; }

 private:
  T value_;
};

template <class T>
class Received<T, Way::raw> {
 public:
  explicit Received(Decoder& decoder) { decode_raw(decoder, bytes_, sizeof(T)); }
  T& get() { return *std::launder(reinterpret_cast<T*>(bytes_)); }

 private:
  alignas(T) std::byte bytes_[sizeof(T)];
};

template <class T>
class Received<T, Way::nothing> {
 public:
  explicit Received(Decoder&) {}
  T& get() { return *std::launder(reinterpret_cast<T*>(bytes_)); }

 private:
  alignas(T) std::byte bytes_[sizeof(T)]{};
};

template <class T>
class Received<T, Way::text> {
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
class Received<T, Way::elements> {
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
class Received<T, Way::referred> {
  using Referred = typename ReferredBy<T>::type;

 public:
  explicit Received(Decoder& decoder) : value_(decoder) {}
  T get() { return T(value_.get()); }

 private:
  Received<Referred> value_;
};

/// Never made: lets code that handles all types compile for those that can't be sent.
template <class T>
class Received<T, Way::never> {
 public:
  explicit Received(Decoder&) { throw_cannot_travel(typeid(T)); }
  T& get() { throw_cannot_travel(typeid(T)); }
};

}  // namespace hoist::detail
