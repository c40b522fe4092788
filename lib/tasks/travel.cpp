// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/call_traits.hpp>
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

void throw_writes_to_copy(std::size_t index, const std::type_info& type) {
  throw CannotTravel(
      "argument " + std::to_string(index + 1) + " (" + readable_type(type) +
      ") can't be sent to another process: the task takes it by reference and may "
      "write to it, but there it would write to a copy. To write, return the new "
      "value, use the backend \"threads\", or pass an Array from Array::shared or one "
      "that open_array has mapped read_write; to read, take it by value or const reference "
      "(std::cref)");
}

void throw_cannot_repeat(const std::type_info& type) {
  throw BadArgument("retries: a task that takes what can't be copied (" + readable_type(type) +
                    ") by value or by non-const reference can't be run again with the same "
                    "arguments: take it by const reference, pass a std::shared_ptr, or leave "
                    "retries out");
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
