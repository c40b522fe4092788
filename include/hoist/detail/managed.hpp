// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/code_address.hpp>
#include <hoist/detail/message_queue.hpp>
#include <hoist/detail/task.hpp>
#include <hoist/error.hpp>

#include <atomic>
#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

// Objects that live in a manager's server, and calls of them from other processes. A call is
// portable, as a task is: what is sent is the address of call_managed, the function that is to be
// called with the object, and its arguments.

namespace hoist::detail {

namespace managers {
class Line;
}

using MakeManaged = std::shared_ptr<void> (*)(Decoder& from);
using CallManaged = void (*)(void* object, Decoder& from, Reply& reply);

/// The way to a server. Whoever has it can make objects there and call them.
class ManagerLink : public SharedHandle {
 public:
  /// Through shared memory, to a server that is still to be started.
  ManagerLink();
  ManagerLink(SharedBlock block, MessageQueue clients);
  /// By the address at which a server listens.
  ManagerLink(std::string address, std::optional<std::string> authkey, std::uint64_t number);

  bool is_remote() const noexcept { return !clients_; }
  /// No other server has it.
  std::uint64_t number() const noexcept { return number_; }
  /// Where clients announce themselves that have shared memory with the server.
  const MessageQueue& clients() const noexcept { return *clients_; }
  /// Of a server that listens at one; else empty.
  std::string address() const;
  const std::optional<std::string>& authkey() const noexcept { return authkey_; }

  /// Writes it for whoever gets what this thread sends at the moment, or reads it.
  static void send(Encoder& encoder, const ManagerLink& link);
  static ManagerLink receive(Decoder& decoder);

 private:
  std::optional<MessageQueue> clients_;
  std::string address_;
  std::optional<std::string> authkey_;
  std::uint64_t number_ = 0;
};

template <>
struct HandleParts<ManagerLink> {
  template <class Ar>
  static void send(Ar& ar, const ManagerLink& link) {
    if constexpr (Ar::hashing) {
      SharedBlock::send(ar, link.block());  // which throws
    } else {
      ManagerLink::send(ar, link);
    }
  }
  static ManagerLink receive(Decoder& decoder) { return ManagerLink::receive(decoder); }
};

/// The object of a server by which those that use it find each other's: Names.
inline constexpr std::uint64_t names_object = 1;

/// A request to a server, and its reply. Used by one thread.
class Exchange {
 public:
  enum class Kind : std::uint8_t {
    make,  ///< returns the number of a new object, to which the client has a reference
    call,
    call_beside,  ///< likewise, of an object that may be called by several at a time
    retain,       ///< another reference
    release,      ///< one less; has no reply
    lend,         ///< a reference is on its way to another process
  };
  /// `code`: of make and calls.
  Exchange(const ManagerLink& link, Kind kind, std::uint64_t object, const void* code = nullptr);
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
  ~Exchange();

  Encoder& request() noexcept { return room_.encoder(); }
  /// Sends the request.
  void post();
  /// Sends it and waits for the reply. Throws what the call has thrown, and ManagerDied.
  Decoder& reply();

 private:
  MessageRoom room_;
  const ManagerLink& link_;
  std::shared_ptr<managers::Line> line_;
  bool is_done_ = true;           // nothing of it is on the line
  bool sent_out_before_ = false;  // of this thread
  std::shared_ptr<DecodeSource> source_;
  std::optional<Decoder> decoder_;
};

/// A reference of this process to an object in a server.
class ManagedReference {
 public:
  /// A reference that the server has counted.
  ManagedReference(ManagerLink link, std::uint64_t object);
  ManagedReference(const ManagedReference&) = delete;
  ManagedReference& operator=(const ManagedReference&) = delete;
  ~ManagedReference();

  const ManagerLink& link() const noexcept { return link_; }
  /// Its number, for a request. A forked child gets a reference of its own by that.
  std::uint64_t object();

 private:
  const ManagerLink link_;
  const std::uint64_t object_;
  std::atomic<std::uint64_t> process_;  // the one that is counted
};

/// What proxies have in common. A copy is a proxy of the same object.
class ProxyHandle : public SharedHandle {
 public:
  /// Of no object: what needs one throws BadArgument.
  ProxyHandle() noexcept : SharedHandle(SharedBlock(BlockTag(), nullptr)) {}
  explicit ProxyHandle(std::shared_ptr<ManagedReference> reference)
      : SharedHandle(reference->link().block()), reference_(std::move(reference)) {}
  /// Makes an object.
  template <class C, class... Args>
  static ProxyHandle make(const ManagerLink& link, const Args&... args);
  /// Of a proxy that arrived.
  static ProxyHandle receive(ManagerLink link, std::uint64_t object);

  [[nodiscard]] bool has_object() const noexcept { return reference_ != nullptr; }
  ManagedReference& reference() const;
  /// Before it is sent: keeps the object for who receives it.
  std::uint64_t lend() const;

 protected:
  template <class C, class F, class... Args>
  auto call_object(const F& f, const Args&... args) const {
    return call_as<C>(Exchange::Kind::call, f, args...);
  }
  template <class C, class F, class... Args>
  auto call_as(Exchange::Kind kind, const F& f, const Args&... args) const;

 private:
  std::shared_ptr<ManagedReference> reference_;
};

/// How an argument is sent: a literal as a pointer to characters.
template <class T>
using SentAs = std::decay_t<const T&>;

/// How a server keeps a value: a literal as text.
template <class T>
using KeptAs = std::conditional_t<std::is_same_v<SentAs<T>, const char*>, std::string, T>;

template <class T>
concept AnyProxy = std::derived_from<T, SharedHandle> && std::derived_from<T, ProxyHandle>;

template <AnyProxy T>
struct HandleParts<T> {
  template <class Ar>
  static void send(Ar& ar, const T& proxy) {
    if constexpr (Ar::hashing) {
      SharedBlock::send(ar, proxy.block());  // which throws
    } else {
      ar.scalar(proxy.has_object());
      if (!proxy.has_object()) return;
      HandleParts<ManagerLink>::send(ar, proxy.reference().link());
      ar.scalar(proxy.lend());
    }
  }
  static T receive(Decoder& decoder) {
    std::uint8_t has_object = 0;
    decoder.scalar(has_object);
    if (has_object == 0) return T();
    ManagerLink link = HandleParts<ManagerLink>::receive(decoder);
    std::uint64_t object = 0;
    decoder.scalar(object);
    return T(ProxyHandle::receive(std::move(link), object));
  }
};

template <class C, class F>
struct BoundToObject {
  F& f;
  C& object;

  template <class... Args>
    requires std::is_invocable_v<F&, C&, Args...>
  decltype(auto) operator()(Args&&... args) const {
    return std::invoke(f, object, std::forward<Args>(args)...);
  }
};

template <class C, class F, class... Args>
void call_managed(void* object, Decoder& from, Reply& reply) {
  Received<F> f(from);
  const BoundToObject<C, F> bound{f.get(), *static_cast<C*>(object)};
  run_with<const BoundToObject<C, F>, Args...>(bound, from, reply);
}

template <class C>
struct MakeShared {
  template <class... Args>
    requires std::is_constructible_v<C, Args...>
  std::shared_ptr<void> operator()(Args&&... args) const {
    return std::make_shared<C>(std::forward<Args>(args)...);
  }
};

template <class C, class... Args>
std::shared_ptr<void> make_managed(Decoder& from) {
  ReceivedAll<Args...> args(from);
  from.finish();
  const MakeShared<C> make;
  return args.call([&](ReceivedArgument<Args>&... received) {
    return invoke_received<const MakeShared<C>, Args...>(make, received...);
  });
}

template <class C, class... Args>
ProxyHandle ProxyHandle::make(const ManagerLink& link, const Args&... args) {
  const MakeManaged code = &make_managed<C, SentAs<Args>...>;
  Exchange exchange(link, Exchange::Kind::make, 0, reinterpret_cast<const void*>(code));
  send_arguments<SentAs<Args>...>(exchange.request(), args...);
  std::uint64_t object = 0;
  exchange.reply().scalar(object);
  return ProxyHandle(std::make_shared<ManagedReference>(link, object));
}

template <class C, class F, class... Args>
auto ProxyHandle::call_as(Exchange::Kind kind, const F& f, const Args&... args) const {
  using Function = std::decay_t<F>;
  constexpr bool callable = takes_received<const BoundToObject<C, Function>, SentAs<Args>...>;
  static_assert(callable, "a function of a managed object can't be called with these arguments");
  if constexpr (callable) {
    using R = TaskResult<const BoundToObject<C, Function>, SentAs<Args>...>;
    static_assert(result_travels<R>,
                  "the result of a function of a managed object can't be sent to another process");
    const CallManaged code = &call_managed<C, Function, SentAs<Args>...>;
    Exchange exchange(reference().link(), kind, reference().object(),
                      reinterpret_cast<const void*>(code));
    send_call<Function, SentAs<Args>...>(exchange.request(), f, args...);
    return receive_result<R>(exchange.reply());
  }
}

}  // namespace hoist::detail
