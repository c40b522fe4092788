// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/managed.hpp>
#include <hoist/error.hpp>

#include <functional>
#include <optional>
#include <type_traits>
#include <utility>

// Proxies of what is shared memory where the server is. There they are the handles themselves;
// elsewhere what they do is done in an agent, a process beside the server.

namespace hoist::detail {

/// In a server: the proxy by which it uses an object, whose call this thread runs, in the agent of
/// the client that calls. `make` makes it, when there is none yet.
using MakeAgentProxy = std::function<ProxyHandle(const ManagerLink& agent)>;
ProxyHandle agent_proxy(const MakeAgentProxy& make);

/// A proxy of a handle, for functions that may run at the same time.
template <class H>
class BesideProxy : public ProxyHandle {
 public:
  BesideProxy() = default;
  explicit BesideProxy(ProxyHandle proxy) : ProxyHandle(std::move(proxy)) {}

  template <class F, class... Args>
  auto call_beside(const F& f, const Args&... args) const {
    return call_as<H>(Exchange::Kind::call_beside, f, args...);
  }
};

/// A function of a handle, done by the agent. A class without members, as F is.
template <class F>
struct ByAgent {
  template <class H, class... Args>
    requires std::is_invocable_v<const F&, const H&, const Args&...>
  auto operator()(const H& handle, const Args&... args) const {
    const BesideProxy<H> there(
        agent_proxy([&](const ManagerLink& agent) { return ProxyHandle::make<H>(agent, handle); }));
    return there.call_beside(F(), args...);
  }
};

template <class H>
struct Itself {
  H operator()(const H& handle) const { return handle; }
};

/// A proxy of an H, which is a handle.
template <class H>
class SharedProxy : public BesideProxy<H> {
 public:
  /// Of no object.
  SharedProxy() = default;
  explicit SharedProxy(ProxyHandle proxy) : BesideProxy<H>(std::move(proxy)) {
    if (!this->reference().link().is_remote()) {
      here_.emplace(this->call_beside(Itself<H>()));
    }
  }

  /// The handle itself. Throws BadArgument where only the server's machine has it.
  operator const H&() const { return here(); }
  const H& here() const {
    if (this->has_object() && !here_) {
      throw BadArgument("a proxy by a manager's address has no shared memory: use the proxy");
    }
    return this->reference(), *here_;
  }

 protected:
  /// Calls a function that has no members and captures nothing.
  template <class F, class... Args>
  auto use(const F& f, const Args&... args) const {
    return here_ ? f(*here_, args...) : this->call_beside(ByAgent<F>(), args...);
  }

 private:
  std::optional<H> here_;
};

}  // namespace hoist::detail
