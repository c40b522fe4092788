// SPDX-License-Identifier: BSD-3-Clause
#include "os/inner_threads.hpp"

#include <dlfcn.h>
#include <link.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "os/fork_hook.hpp"
#include "os/list_modules.hpp"

namespace hoist::detail::os {

namespace {

using Get = int (*)();
using SetLocal = int (*)(int);
// BLIS takes 64 bits, OpenMP and OpenBLAS an int, to which such a call passes the same value.
using Set = void (*)(std::int64_t);
using Control = void (*)(void*);

/// A library's functions that get and set the number of threads for the calling thread.
struct Knob {
  Get get = nullptr;
  Set set = nullptr;
  SetLocal set_local = nullptr;  // returns the previous number; 0 stands for the process's
};

/// The same for a library with one number for the process.
struct ProcessKnob {
  ProcessKnob(Get get_number, Set set_number) : get(get_number), set(set_number) {}

  void limit(ThreadLimit limit);
  void restore();

  const Get get;
  const Set set;

 private:
  std::mutex mutex_;
  unsigned users_ = 0;  // the limit of the first one applies
  int before_ = 0;
  ForkHook fork_hook_{mutex_};
};

/// The functions that were found in the loaded libraries.
struct Libraries {
  unsigned long long loads = 0;
  const Libraries* older = nullptr;  // kept: other threads may be reading it
  std::vector<Knob> knobs;
  std::vector<std::shared_ptr<ProcessKnob>> process_knobs;
  Control tbb_create = nullptr;
  Control tbb_destroy = nullptr;
};

template <class F>
F symbol(void* library, const char* name) {
  return reinterpret_cast<F>(::dlsym(library, name));
}

/// Libraries that RTLD_DEFAULT may not find, as those that Python's modules load.
std::vector<std::string> candidates() {
  std::vector<std::string> names;
  list_modules(
      [](dl_phdr_info* info, std::size_t, void* to) {
        const std::string_view path(info->dlpi_name);
        const std::string_view name = path.substr(path.rfind('/') + 1);
        for (const std::string_view part : {"omp", "blas", "mkl", "blis", "tbb"}) {
          if (name.find(part) != std::string_view::npos) {
            static_cast<std::vector<std::string>*>(to)->emplace_back(path);
            break;
          }
        }
        return 0;
      },
      &names);
  return names;
}

/// Before version 1, BLIS had one number for the process.
bool blis_counts_by_thread(void* library) {
  const auto version = symbol<const char* (*)()>(library, "bli_info_get_version_str");
  return version != nullptr && std::atoi(version()) >= 1;
}

void look_into(void* library, Libraries& found) {
  const auto is_new = [&](auto function, auto Knob::* member) {
    return function != nullptr &&
           std::none_of(found.knobs.begin(), found.knobs.end(),
                        [&](const Knob& knob) { return knob.*member == function; });
  };
  const auto omp = symbol<Set>(library, "omp_set_num_threads");
  if (is_new(omp, &Knob::set)) {
    found.knobs.push_back({symbol<Get>(library, "omp_get_max_threads"), omp, nullptr});
  }
  const auto mkl = symbol<SetLocal>(library, "MKL_Set_Num_Threads_Local");
  if (is_new(mkl, &Knob::set_local)) {
    found.knobs.push_back({symbol<Get>(library, "MKL_Get_Max_Threads"), nullptr, mkl});
  }
  for (const std::string name : {"openblas", "bli_thread"}) {
    const auto get = symbol<Get>(library, (name + "_get_num_threads").c_str());
    const auto set = symbol<Set>(library, (name + "_set_num_threads").c_str());
    if (get == nullptr || set == nullptr) continue;
    if (name == "bli_thread" && blis_counts_by_thread(library)) {
      if (is_new(set, &Knob::set)) found.knobs.push_back({get, set, nullptr});
      continue;
    }
    const auto has_it = [&](const auto& knob) { return knob->set == set; };
    if (std::any_of(found.process_knobs.begin(), found.process_knobs.end(), has_it)) continue;
    found.process_knobs.push_back(std::make_shared<ProcessKnob>(get, set));
  }
  if (found.tbb_create == nullptr) {
    found.tbb_create =
        symbol<Control>(library, "_ZN3tbb6detail2r16createERNS0_2d114global_controlE");
    found.tbb_destroy =
        symbol<Control>(library, "_ZN3tbb6detail2r17destroyERNS0_2d114global_controlE");
  }
}

std::atomic<const Libraries*> latest{nullptr};

/// What is loaded now, beside what was known before, which may be in use.
std::unique_ptr<Libraries> look_again(const Libraries* known) {
  auto found = std::make_unique<Libraries>();
  found->loads = load_counts().loaded;
  found->older = known;
  if (known != nullptr) found->process_knobs = known->process_knobs;
  look_into(RTLD_DEFAULT, *found);
  for (const std::string& path : candidates()) {
    // Never closed, since their functions are called at the end of scopes.
    if (void* library = ::dlopen(path.c_str(), RTLD_LAZY | RTLD_NOLOAD)) {
      look_into(library, *found);
    }
  }
  return found;
}

const Libraries& refresh() {
  // Without a mutex: the dynamic linker's own one is held by threads whose libraries' initialisers
  // may come here.
  const Libraries* known = latest.load(std::memory_order_acquire);
  while (known == nullptr || known->loads != load_counts().loaded) {
    auto found = look_again(known);
    if (latest.compare_exchange_strong(known, found.get(), std::memory_order_acq_rel)) {
      return *found.release();
    }
  }
  return *known;
}

const Libraries& libraries() {
  const Libraries* known = latest.load(std::memory_order_acquire);
  return known != nullptr ? *known : refresh();
}

bool is_wanted(ThreadLimit limit, int now) {
  const auto wanted = static_cast<int>(limit.threads);
  return limit.exact ? now != wanted : now > wanted;
}

void ProcessKnob::limit(ThreadLimit limit) {
  const std::lock_guard lock(mutex_);
  if (users_++ > 0) return;
  before_ = get();
  if (is_wanted(limit, before_)) set(static_cast<int>(limit.threads));
}

void ProcessKnob::restore() {
  const std::lock_guard lock(mutex_);
  if (--users_ == 0 && get() != before_) set(before_);
}

}  // namespace

InnerThreads::InnerThreads(ThreadLimit limit) {
  if (limit.threads == 0) return;
  const Libraries& all = libraries();
  libraries_ = &all;
  const auto& knobs = all.knobs;
  for (std::size_t i = 0; i < std::min(knobs.size(), before_.size()); ++i) {
    const Knob& knob = knobs[i];
    if (knob.get == nullptr) continue;
    const int now = knob.get();
    if (now < 1 || !is_wanted(limit, now)) continue;
    if (knob.set_local != nullptr) {
      before_[i] = -1 - knob.set_local(static_cast<int>(limit.threads));
    } else {
      knob.set(static_cast<int>(limit.threads));
      before_[i] = now;
    }
  }
}

InnerThreads::~InnerThreads() {
  for (std::size_t i = 0; i < before_.size(); ++i) {
    if (before_[i] == 0) continue;
    const Knob& knob = static_cast<const Libraries*>(libraries_)->knobs[i];
    if (knob.set_local != nullptr) {
      knob.set_local(-1 - before_[i]);
    } else {
      knob.set(before_[i]);
    }
  }
}

ProcessThreads::ProcessThreads(ThreadLimit limit) {
  if (limit.threads == 0) return;
  const Libraries& all = refresh();
  libraries_ = &all;
  if (all.tbb_create != nullptr && all.tbb_destroy != nullptr) {
    tbb_.value = limit.threads;
    all.tbb_create(&tbb_);
    limits_tbb_ = true;
  }
  for (const auto& knob : all.process_knobs) knob->limit(limit);
}

ProcessThreads::~ProcessThreads() {
  if (libraries_ == nullptr) return;
  const auto* const all = static_cast<const Libraries*>(libraries_);
  if (limits_tbb_) all->tbb_destroy(&tbb_);
  for (const auto& knob : all->process_knobs) knob->restore();
}

void limit_inner_threads(ThreadLimit limit) {
  if (limit.threads == 0) return;
  // Never destroyed; a later limit replaces this one.
  static ProcessThreads* process = nullptr;
  static InnerThreads* own = nullptr;
  delete own;
  delete process;
  process = new ProcessThreads(limit);
  own = new InnerThreads(limit);
}

}  // namespace hoist::detail::os
