// SPDX-License-Identifier: BSD-3-Clause
#include "program/symbol_names.hpp"

#include <hoist/detail/code_address.hpp>

#include <cxxabi.h>

#include <cstddef>
#include <cstdlib>
#include <memory>

namespace hoist::detail::program {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Removes `prefix` from text if it is there.
bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

void take_number(std::string_view& text) {
  take(text, "n");
  while (!text.empty() && is_digit(text.front())) text.remove_prefix(1);
}

/// Removes what precedes the encoding of the entity a special symbol belongs to: vtables, type
/// information, guard variables, references to temporaries, thunks.
void take_special_prefix(std::string_view& text) {
  for (const std::string_view prefix : {"TV", "TT", "TI", "TS", "TW", "TH", "GV", "GR"}) {
    if (take(text, prefix)) return;
  }
  if (take(text, "Th")) {
    take_number(text);
    take(text, "_");
  } else if (take(text, "Tv")) {
    take_number(text);
    take(text, "_");
    take_number(text);
    take(text, "_");
  }
}

/// Whether the nested name that follows, up to its end, has template arguments at its own level.
bool has_template_arguments(std::string_view text) {
  while (!text.empty()) {
    const char c = text.front();
    if (c == 'I') return true;
    if (c == 'E') return false;
    if (is_digit(c)) {
      std::size_t length = 0;
      while (!text.empty() && is_digit(text.front())) {
        length = length * 10 + static_cast<std::size_t>(text.front() - '0');
        text.remove_prefix(1);
        if (length > text.size()) return false;
      }
      text.remove_prefix(length);
    } else if (c == 'C' || c == 'D') {
      // A constructor or destructor: C1, CI2 (inherited), D0. Its digit is no length.
      text.remove_prefix(text.size() > 1 && text[1] == 'I' ? 2 : 1);
      if (!text.empty()) text.remove_prefix(1);
    } else {
      // Operators, ABI tags, unnamed types: single letters as far as this scan is concerned.
      text.remove_prefix(1);
    }
  }
  return false;
}

/// The C++ name of a symbol or a type; empty for what isn't a mangled name.
std::string readable(const std::string& mangled) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(
      abi::__cxa_demangle(mangled.c_str(), nullptr, nullptr, &status), &std::free);
  return status == 0 && text != nullptr ? text.get() : std::string();
}

}  // namespace

std::string_view base_name(std::string_view symbol) {
  const std::size_t dot = symbol.find('.', 1);
  return symbol.substr(0, dot);
}

bool is_split_part(std::string_view symbol) {
  return symbol.find(".cold") != std::string_view::npos ||
         symbol.find(".part.") != std::string_view::npos;
}

bool is_hoist_entity(std::string_view symbol) {
  std::string_view text = symbol;
  if (!take(text, "_Z")) return false;
  take_special_prefix(text);
  while (take(text, "Z")) {
  }
  if (!take(text, "N")) return false;
  while (take(text, "r") || take(text, "V") || take(text, "K") || take(text, "R") ||
         take(text, "O")) {
  }
  return take(text, "5hoist") && !has_template_arguments(text);
}

bool is_run_time_entity(std::string_view symbol) {
  std::string_view text = symbol;
  if (text.starts_with("__") || text.starts_with("_ZGV")) return true;
  if (!take(text, "_Z")) return false;
  take_special_prefix(text);
  while (take(text, "Z")) {
  }
  take(text, "N");
  while (take(text, "K") || take(text, "L")) {
  }
  return text.starts_with("St") || text.starts_with("9__gnu_cxx") ||
         text.starts_with("10__cxxabiv1");
}

bool is_vtable(std::string_view symbol) {
  return symbol.starts_with("_ZTV") || symbol.starts_with("_ZTC");
}

std::string demangled(std::string_view symbol) {
  const std::string_view base = base_name(symbol);
  const std::string_view suffix = symbol.substr(base.size());
  if (!base.starts_with("_Z")) return std::string(symbol);
  std::string name = readable(std::string(base));
  if (name.empty()) return std::string(symbol);
  if (!suffix.empty()) name += " [" + std::string(suffix) + "]";
  return name;
}

}  // namespace hoist::detail::program

namespace hoist::detail {

std::string readable_type(const std::type_info& type) {
  std::string name = program::readable(type.name());
  if (name.empty()) return type.name();
  constexpr std::string_view string =
      "std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >";
  for (auto at = name.find(string); at != std::string::npos; at = name.find(string, at)) {
    name.replace(at, string.size(), "std::string");
  }
  return name;
}

}  // namespace hoist::detail
