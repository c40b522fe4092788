// SPDX-License-Identifier: BSD-3-Clause
#include "memory/function_name.hpp"

#include <hoist/detail/hasher.hpp>

#include <cxxabi.h>
#include <dlfcn.h>

#include <cstdlib>
#include <memory>

namespace hoist::detail {

namespace {

std::string demangled(const char* symbol) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text(
      abi::__cxa_demangle(symbol, nullptr, nullptr, &status), &std::free);
  return status == 0 ? text.get() : symbol;
}

}  // namespace

FunctionName name_of(const FunctionInfo& info) {
  Dl_info found{};
  FunctionName name;
  name.identity = info.type->name();
  if (info.code != nullptr && ::dladdr(info.code, &found) != 0) {
    const std::string module = found.dli_fname == nullptr ? "" : found.dli_fname;
    name.identity += "@" + module.substr(module.rfind('/') + 1);
    if (found.dli_sname != nullptr && found.dli_saddr == info.code) {
      name.readable = demangled(found.dli_sname);
    } else {
      const auto offset = static_cast<const char*>(info.code) - static_cast<char*>(found.dli_fbase);
      name.readable = demangled(info.type->name()) + " at " + std::to_string(offset);
    }
  } else {
    name.readable = demangled(info.type->name());
  }
  name.identity += "@" + name.readable;
  return name;
}

std::string directory_name(std::string_view text, std::string_view identity) {
  constexpr std::size_t longest = 48;
  std::string name;
  for (const char c : text) {
    if (name.size() == longest) break;
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '_' || c == '.';
    if (plain && !(name.empty() && c == '.')) {
      name += c;
    } else if (!name.empty() && name.back() != '-') {
      name += '-';
    }
  }
  while (!name.empty() && name.back() == '-') name.pop_back();
  if (!name.empty()) name += '-';
  return name + hash_bytes(identity.data(), identity.size()).hex().substr(0, 16);
}

}  // namespace hoist::detail
