// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/code_address.hpp>
#include <hoist/detail/transfer.hpp>
#include <hoist/values.hpp>

#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace hoist::detail {

[[noreturn]] void throw_cannot_travel(const std::type_info& type);

template <class T>
void send(Encoder& encoder, const T& value) {
  encoder.set_for_process();
  constexpr TransferMethod method = transfer_method_of<T>();
  if constexpr (method == TransferMethod::storable || method == TransferMethod::handle ||
                method == TransferMethod::shown) {
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
    using Referred = typename ReferredBy<T>::type;
    if constexpr (Derivable<Referred>) {
      write_pointee<Referred>(encoder, value.get());
    } else {
      send<Referred>(encoder, value.get());
    }
  } else if constexpr (method == TransferMethod::parts) {
    PartsOf<T>::send(encoder, value);
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
class Received<T, TransferMethod::handle> {
 public:
  explicit Received(Decoder& decoder) : value_(HandleParts<T>::receive(decoder)) {}
  T& get() { return value_; }

 private:
  T value_;
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
class Received<T, TransferMethod::shown> {
 public:
  explicit Received(Decoder& decoder) : value_(decoder) {}
  T get() { return T(value_.get()); }

 private:
  Received<typename ShownBy<T>::type> value_;
};

/// An object of a class that may be derived from the one referred to.
template <class T>
  requires Derivable<typename ReferredBy<T>::type>
class Received<T, TransferMethod::referred> {
  using Referred = typename ReferredBy<T>::type;

 public:
  explicit Received(Decoder& decoder)
      : value_(read_pointee<std::unique_ptr<Referred>, Referred>(decoder, [](const auto&) {})) {}
  T get() { return T(*value_); }

 private:
  std::unique_ptr<Referred> value_;
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
