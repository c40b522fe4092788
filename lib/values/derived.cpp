// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/code_address.hpp>
#include <hoist/detail/derived.hpp>
#include <hoist/detail/schema.hpp>
#include <hoist/error.hpp>

#include <atomic>
#include <mutex>

#include "os/fork_hook.hpp"

namespace hoist::detail {

namespace {

/// Registered classes are in a list that only grows, so that it is read without a lock. It is never
/// destroyed: destructors of static objects dump values, too.
struct ClassNode {
  std::string name;
  ClassForm form;
  const ClassNode* next;
};
constinit std::atomic<const ClassNode*> classes = nullptr;

template <class Accept>
const ClassForm* find_class(const std::type_info& base, Accept accept) {
  const ClassNode* node = classes.load(std::memory_order_acquire);
  while (node != nullptr && !(accept(node->form) && *node->form.base == base)) node = node->next;
  return node != nullptr ? &node->form : nullptr;
}

std::string remedy(const std::string& base, const std::string& type) {
  return "call hoist::register_derived<" + base + ", " + type +
         ">() (hoist/polymorphic.hpp) in an initializer at namespace scope";
}

}  // namespace

void add_class_form(ClassForm form) {
  struct Adding {
    std::mutex mutex;
    os::ForkHook fork_hook{mutex};
  };
  static Adding& adding = *new Adding;
  const std::lock_guard lock(adding.mutex);
  std::string name = readable_type(*form.type);
  if (const ClassForm* known =
          find_class(*form.base, [&](const auto& f) { return f.name == name; })) {
    if (*known->type == *form.type) return;
    throw BadArgument("two classes derived from " + readable_type(*form.base) + " are called " +
                      name + ": data name a class by that, so rename one of them");
  }
  auto* node = new ClassNode{std::move(name), form, classes.load(std::memory_order_relaxed)};
  node->form.name = node->name;
  classes.store(node, std::memory_order_release);
}

const ClassForm& class_form_of(const std::type_info& base, const std::type_info& type) {
  if (const ClassForm* form = find_class(base, [&](const auto& f) { return *f.type == type; })) {
    return *form;
  }
  const std::string of_base = readable_type(base);
  const std::string of_type = readable_type(type);
  throw BadArgument("an object of class " + of_type + " is known only as a " + of_base +
                    ", to which it would be cut: " + remedy(of_base, of_type));
}

const ClassForm& class_form_named(const std::type_info& base, const std::string& name) {
  if (const ClassForm* form = find_class(base, [&](const auto& f) { return f.name == name; })) {
    return *form;
  }
  const std::string of_base = readable_type(base);
  if (name.empty()) {
    throw WrongType("the data hold an object of a class that is abstract in this program: " +
                    of_base);
  }
  throw WrongType("the data hold an object of class " + name +
                  ", which this program doesn't know as derived from " + of_base + ": " +
                  remedy(of_base, name));
}

void check_class_schema(const ClassForm& form, const std::string& schema) {
  const Schema& own = form.schema();
  if (own.text == schema) return;
  throw WrongType("the data hold an object of class " + readable_type(*form.type) + " as " +
                  schema + ", but in this program it is " + own.text);
}

void throw_cut(const std::type_info& base, const std::type_info& type) {
  const std::string of_base = readable_type(base);
  const std::string of_type = readable_type(type);
  throw BadArgument("an object of class " + of_type + " is to be stored as a " + of_base +
                    ", to which it would be cut: hold it in a std::unique_ptr<" + of_base +
                    "> or a std::shared_ptr<" + of_base + ">, or refer to it by std::cref, and " +
                    remedy(of_base, of_type));
}

}  // namespace hoist::detail
