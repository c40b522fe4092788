// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/forms_converted.hpp>
#include <hoist/error.hpp>

#include <array>
#include <future>
#include <ios>
#include <locale>
#include <sstream>

namespace hoist::detail {

namespace {

std::array<const std::error_category*, 4> known_categories() {
  return {&std::generic_category(), &std::system_category(), &std::iostream_category(),
          &std::future_category()};
}

}  // namespace

std::string name_of_category(const std::error_category& category) {
  for (const std::error_category* known : known_categories()) {
    if (category == *known) return category.name();
  }
  throw CannotTravel("an error code of the category " + std::string(category.name()) +
                     ": only those of the standard library are known everywhere");
}

const std::error_category& category_named(const std::string& name) {
  for (const std::error_category* known : known_categories()) {
    if (name == known->name()) return *known;
  }
  throw WrongType("an error code of the category " + name + ", which isn't known here");
}

std::string text_of_state(const void* state, void (*write)(std::ostream& to, const void* state)) {
  std::ostringstream text;
  text.imbue(std::locale::classic());
  write(text, state);
  return std::move(text).str();
}

void read_state(const std::string& text, void* state,
                void (*read)(std::istream& from, void* state)) {
  std::istringstream from(text);
  from.imbue(std::locale::classic());
  read(from, state);
  if (from.fail() || !(from >> std::ws).eof()) {
    throw WrongType("a text that is no state of the random engine asked for");
  }
}

}  // namespace hoist::detail
