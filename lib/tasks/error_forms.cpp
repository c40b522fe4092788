// SPDX-License-Identifier: BSD-3-Clause
#include "tasks/error_forms.hpp"

#include <deque>
#include <map>
#include <mutex>

#include "os/fork_hook.hpp"

namespace hoist::detail::tasks {

namespace {

struct Forms {
  std::mutex mutex;
  // Those that were replaced too: another thread may be using them, and the library whose code
  // would destroy them may have been unloaded.
  std::deque<ErrorForm> all;
  std::map<std::string, const ErrorForm*, std::less<>> by_type;
  std::map<std::string, const ErrorForm*, std::less<>> by_name;
  os::ForkHook fork_hook{mutex};
};

Forms& bare_forms() {
  static auto* const forms = new Forms;  // used before main and after static destruction
  return *forms;
}

void put(const std::type_info& type, ErrorForm form) {
  Forms& forms = bare_forms();
  const std::lock_guard lock(forms.mutex);
  const ErrorForm& kept = forms.all.emplace_back(std::move(form));
  forms.by_type[type.name()] = &kept;
  // The class that std::throw_with_nested(E) throws, under its mangled name in the Itanium ABI.
  forms.by_type["St17_Nested_exceptionI" + std::string(type.name()) + "E"] = &kept;
  forms.by_name[kept.name] = &kept;
}

Forms& forms() {
  static const bool filled = (builtin_error_forms(&put), true);
  (void)filled;
  return bare_forms();
}

}  // namespace

}  // namespace hoist::detail::tasks

namespace hoist::detail {

void add_error_form(const std::type_info& type, ErrorForm form) {
  tasks::forms();  // first the built-in ones, so that a registration replaces them
  tasks::put(type, std::move(form));
}

}  // namespace hoist::detail

namespace hoist::detail::tasks {

const ErrorForm* find_error_form(std::string_view type_name) {
  Forms& all = forms();
  const std::lock_guard lock(all.mutex);
  const auto at = all.by_type.find(type_name);
  return at == all.by_type.end() ? nullptr : at->second;
}

const ErrorForm* find_error_form_named(std::string_view name) {
  Forms& all = forms();
  const std::lock_guard lock(all.mutex);
  const auto at = all.by_name.find(name);
  return at == all.by_name.end() ? nullptr : at->second;
}

}  // namespace hoist::detail::tasks
