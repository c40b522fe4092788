// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/detail/derived.hpp>
#include <hoist/detail/partial_travel.hpp>

#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace hoist {

/// A function whose first arguments are bound, as Python's functools.partial. Made by partial().
///
/// It is called with the other arguments, and gets the bound ones as lvalues, const ones if it is
/// const itself, as in loops and where workers share it. Copies are as deep as those of what it
/// holds. It can be sent to another process if the function and all that is bound can, each of
/// which takes the way that it would take as a function or an argument.
template <class F, class... Bound>
class Partial {
 public:
  /// For partial(), which deduces the types.
  Partial(F f, std::tuple<Bound...> bound) : f_(std::move(f)), bound_(std::move(bound)) {}

  /// Calls the function with what is bound and these. Throws what it throws.
  template <class... Args>
    requires std::is_invocable_v<const F&, const Bound&..., Args...>
  decltype(auto) operator()(Args&&... args) const {
    return std::apply(
        [&](const Bound&... bound) -> decltype(auto) {
          return std::invoke(f_, bound..., std::forward<Args>(args)...);
        },
        bound_);
  }
  template <class... Args>
    requires std::is_invocable_v<F&, Bound&..., Args...>
  decltype(auto) operator()(Args&&... args) {
    return std::apply(
        [&](Bound&... bound) -> decltype(auto) {
          return std::invoke(f_, bound..., std::forward<Args>(args)...);
        },
        bound_);
  }

  /// What it was made of.
  const F& function() const noexcept { return f_; }
  const std::tuple<Bound...>& bound() const noexcept { return bound_; }

 private:
  F f_;
  std::tuple<Bound...> bound_;
};

/// Binds the first arguments of a function, a function object or a pointer to a member, each copied
/// or moved in; std::ref binds a reference, which can't go to another process.
///
///     auto scale = partial(multiply, 2.0);
///     std::vector<double> doubled = Parallel().map(numbers, scale);
///     Future<double> area = workers.submit(partial(integrate, f, 0.0), 1.0);
///
/// Throws BadArgument for an object of a derived class known by its base, of which the copy would
/// lack a part: pass it by pointer.
template <class F, class... Args>
[[nodiscard]] Partial<std::decay_t<F>, std::decay_t<Args>...> partial(F&& f, Args&&... args) {
  (detail::check_whole<std::decay_t<Args>>(args), ...);
  return {std::forward<F>(f), std::tuple<std::decay_t<Args>...>(std::forward<Args>(args)...)};
}

}  // namespace hoist
