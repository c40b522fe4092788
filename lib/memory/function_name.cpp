// SPDX-License-Identifier: BSD-3-Clause
#include "memory/function_name.hpp"

#include <hoist/detail/code_address.hpp>
#include <hoist/detail/hasher.hpp>

#include <string_view>

#include "program/symbol_names.hpp"

namespace hoist::detail::memory {

namespace {

/// "train" of "data::(anonymous namespace)::train(int, double)".
std::string without_parameters(const std::string& name) {
  int depth = 0;
  for (std::size_t i = name.size(); i-- > 0;) {
    if (name[i] == ')') ++depth;
    if (name[i] == '(' && --depth == 0) {
      // "(anonymous namespace)" and "operator()" are no parameters.
      return i == 0 || name.substr(0, i).ends_with("operator") || name[i - 1] == ':'
                 ? name
                 : name.substr(0, i);
    }
    if (depth == 0 && name[i] == '}') return name;
  }
  return name;
}

void remove_all(std::string& text, std::string_view part) {
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at)) {
    text.erase(at, part.size());
  }
}

/// Without what the compiler adds to the name of what returns a std::string: "[abi:cxx11]".
std::string without_tags(std::string name) {
  for (auto at = name.find("[abi:"); at != std::string::npos; at = name.find("[abi:", at)) {
    name.erase(at, name.find(']', at) - at + 1);
  }
  return name;
}

/// What people call a function: without the type a template returns, without the operator of a
/// lambda or a function object.
std::string readable_name(std::string name) {
  remove_all(name, "(anonymous namespace)::");
  for (const std::string_view tail : {"::operator()", "::_FUN"}) {
    if (name.ends_with(tail)) name.resize(name.size() - tail.size());
  }
  int depth = 0;
  for (std::size_t i = name.size(); i-- > 0;) {
    const char c = name[i];
    if (c == '>' || c == ')' || c == '}') ++depth;
    if (c == '<' || c == '(' || c == '{') --depth;
    if (c == ' ' && depth == 0 && name.find("operator") == std::string::npos) {
      return name.substr(i + 1);
    }
  }
  return name;
}

}  // namespace

FunctionName name_of(const FunctionInfo& info) {
  FunctionName name;
  program::CodeSymbol& symbol = name.code;
  if (info.code != nullptr) symbol = program::code_symbol(info.code);
  symbol.name = program::base_name(symbol.name);
  if (symbol.name.empty()) {
    name.label = readable_type(*info.type);
    name.identity = std::string(info.type->name()) + "@" + symbol.module + "@" + symbol.build;
  } else {
    name.label = readable_name(without_parameters(program::demangled(symbol.name)));
    name.identity = symbol.name + "@" + symbol.module + "@" + symbol.scope;
  }
  name.readable = without_tags(name.label);
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

}  // namespace hoist::detail::memory
