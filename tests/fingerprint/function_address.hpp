// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstring>
#include <type_traits>
#include <utility>

namespace hoist::detail {

/// Where the code of a function starts.
template <class R, class... Args>
const void* code_address(R (*function)(Args...)) noexcept {
  return reinterpret_cast<const void*>(function);
}

template <class R, class... Args>
const void* code_address(R (*function)(Args...) noexcept) noexcept {
  return reinterpret_cast<const void*>(function);
}

/// Where the code of a member function starts. For a virtual one that depends on the object: null
/// without one. Relies on the Itanium C++ ABI, as every compiler on Linux does.
template <class Member, class Class>
const void* code_address(Member Class::* function, const Class* object = nullptr) noexcept
  requires std::is_function_v<Member>
{
  struct {
    std::size_t entry;
    std::ptrdiff_t adjustment;
  } parts;
  static_assert(sizeof parts == sizeof function);
  std::memcpy(&parts, &function, sizeof parts);
#if defined(__arm__) || defined(__aarch64__)
  // Code addresses may be odd there, so the mark of a virtual function is in the other word.
  const bool is_virtual = (parts.adjustment & 1) != 0;
  const std::size_t slot = parts.entry;
  const std::ptrdiff_t adjustment = parts.adjustment >> 1;
#else
  const bool is_virtual = (parts.entry & 1) != 0;
  const std::size_t slot = parts.entry - 1;
  const std::ptrdiff_t adjustment = parts.adjustment;
#endif
  if (!is_virtual) return reinterpret_cast<const void*>(parts.entry);
  if (object == nullptr) return nullptr;
  const char* table = nullptr;
  std::memcpy(static_cast<void*>(&table), reinterpret_cast<const char*>(object) + adjustment,
              sizeof table);
  const void* address = nullptr;
  std::memcpy(static_cast<void*>(&address), table + slot, sizeof address);
  return address;
}

/// A plain function that calls a function object; its code contains the object's call operator or
/// calls it.
template <class Function, class... Args>
std::invoke_result_t<Function&, Args...> call_probe(Function& function, Args... args) {
  return function(std::forward<Args>(args)...);
}

/// Where the code starts that runs when a Function (lambda, function object) is called with Args.
template <class Function, class... Args>
const void* call_address() noexcept {
  return reinterpret_cast<const void*>(&call_probe<Function, Args...>);
}

}  // namespace hoist::detail
