// SPDX-License-Identifier: BSD-3-Clause
#include "multiprocess/enrolled.hpp"

#include <atomic>
#include <mutex>
#include <set>

#include "os/fork_hook.hpp"
#include "os/process_end.hpp"
#include "os/process_id.hpp"

namespace hoist::detail::multiprocess {

namespace {

struct List {
  std::mutex mutex;
  std::set<Enrolled*> all;
};
constinit std::atomic<List*> the_list{nullptr};

void inherit_all() {
  List& list = *the_list.load();
  const std::lock_guard lock(list.mutex);
  for (Enrolled* const one : list.all) one->inherit();
}

List& list_here() {
  static auto* const list = [] {
    auto* const made = new List;
    os::ForkHook::keep(made->mutex);
    the_list.store(made);
    os::ForkHook::at_last(inherit_all);
    return made;
  }();
  return *list;
}

void end_all() {
  os::own_thread();  // may have to wait for a fork, which may have to wait for this mutex
  List& list = list_here();
  const std::lock_guard lock(list.mutex);
  for (Enrolled* const one : list.all) one->end_with_process();
}

}  // namespace

void Enrolled::enroll() {
  List& list = list_here();
  const std::lock_guard lock(list.mutex);
  list.all.insert(this);
}

void Enrolled::withdraw() {
  List& list = list_here();
  const std::lock_guard lock(list.mutex);
  list.all.erase(this);
}

void Enrolled::see_end() { os::at_process_end(end_all); }

}  // namespace hoist::detail::multiprocess
