// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/task.hpp>
#include <hoist/error.hpp>

#include <string>

namespace hoist::detail {

namespace {

constexpr const char* remedy =
    "give it a `template <class Ar> void serialize(Ar& ar)`, pass it as something hoist can store, "
    "or use the backend \"threads\" or \"fork\"";

}  // namespace

void throw_cannot_travel(const std::type_info& type) {
  throw CannotTravel("values of type " + readable_type(type) +
                     " can't be sent to another process: " + remedy);
}

void throw_argument_cannot_travel(std::size_t index, const std::type_info& type,
                                  const char* reason) {
  const bool callable = index == callable_index;
  std::string what = callable ? "the callable" : "argument " + std::to_string(index + 1);
  what += " (" + readable_type(type) + ") can't be sent to another process: ";
  if (reason != nullptr) {
    what += reason;
  } else if (callable) {
    what +=
        "it captures by value what hoist can't see into (a container, a string): pass that as an "
        "argument, make the callable a struct of storable members, or use the backend \"threads\" "
        "or \"fork\"";
  } else {
    what += remedy;
  }
  throw CannotTravel(what);
}

void throw_result_cannot_travel(const std::type_info& type, const char* reason) {
  if (reason == nullptr) {
    reason =
        "give it a `template <class Ar> void serialize(Ar& ar)`, return something hoist can store, "
        "or use the backend \"threads\"";
  }
  throw CannotTravel("the result (" + readable_type(type) +
                     ") can't come back from another process: " + reason);
}

}  // namespace hoist::detail
