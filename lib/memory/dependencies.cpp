// SPDX-License-Identifier: BSD-3-Clause
#include "memory/dependencies.hpp"

#include <hoist/backend.hpp>

#include <algorithm>
#include <utility>

namespace hoist::detail {

namespace memory {

namespace {

std::atomic<std::uint64_t> next_number{1};

bool is_same_function(const CacheDependency& a, const CacheDependency& b) {
  return a.function == b.function && a.version == b.version;
}

/// The logs of this process.
struct Logs {
  std::mutex mutex;
  std::vector<DependencyLog*> all;
  std::atomic<std::size_t> count{0};
  os::ForkHook fork_hook{mutex};

  void update(const auto& change) {
    const std::lock_guard lock(mutex);
    change(all);
    count.store(all.size(), std::memory_order_relaxed);
  }
};

Logs& logs() {
  static auto* const instance = new Logs;  // calls may be under way while the process ends
  return *instance;
}

/// When the calling thread made its first cached call, in numbers of logs.
std::uint64_t first_call() noexcept {
  thread_local std::uint64_t number = 0;
  if (number == 0) number = next_number.fetch_add(1);
  return number;
}

}  // namespace

DependencyLog::DependencyLog() : number_(next_number.fetch_add(1)) {
  logs().update([this](auto& all) { all.push_back(this); });
}

DependencyLog::~DependencyLog() {
  logs().update([this](auto& all) { std::erase(all, this); });
}

void DependencyLog::add(const CacheDependency& dependency) {
  const std::lock_guard lock(mutex_);
  std::size_t seen = 0;
  for (const CacheDependency& known : all_) {
    if (!is_same_function(known, dependency)) continue;
    // With two values of its variables it can't be unchanged, whatever comes.
    if (known.variables == dependency.variables || ++seen == 2) return;
  }
  all_.push_back(dependency);
  new_.store(true, std::memory_order_release);
}

std::vector<CacheDependency> DependencyLog::all() const {
  const std::lock_guard lock(mutex_);
  return all_;
}

std::vector<CacheDependency> DependencyLog::take_new() {
  const std::lock_guard lock(mutex_);
  new_.store(false, std::memory_order_release);
  const auto from = all_.begin() + static_cast<std::ptrdiff_t>(std::exchange(taken_, all_.size()));
  return {from, all_.end()};
}

Recording& recording() noexcept {
  // Trivially destructible: calls may still be made while the thread's other objects are destroyed.
  thread_local Recording current;
  return current;
}

std::shared_ptr<DependencyLog> current_log() {
  DependencyLog* const log = recording().log;
  return log != nullptr ? log->shared_from_this() : nullptr;
}

bool is_recording() noexcept {
  const Recording& current = recording();
  if (current.log != nullptr) return true;
  if (current.is_task) return false;
  first_call();
  return logs().count.load(std::memory_order_relaxed) > 0;
}

void note_dependency(const CacheDependency& dependency) {
  const Recording& current = recording();
  if (current.log != nullptr) return current.log->add(dependency);
  if (current.is_task) return;
  const std::lock_guard lock(logs().mutex);
  for (DependencyLog* log : logs().all) {
    if (log->number() < first_call()) log->add(dependency);
  }
}

Computation::Computation() : before_(recording()), log_(std::make_shared<DependencyLog>()) {
  first_call();
  recording() = {log_.get(), before_.is_task};
}

Computation::~Computation() {
  if (log_ != nullptr && recording().log == log_.get()) recording() = before_;
}

std::vector<CacheDependency> Computation::end() {
  if (recording().log == log_.get()) recording() = before_;
  return std::exchange(log_, nullptr)->all();
}

}  // namespace memory

bool encode_dependencies(Encoder& to) {
  memory::DependencyLog* const log = memory::recording().log;
  if (log == nullptr || !log->has_new()) return false;
  const auto called = log->take_new();
  Form<std::vector<CacheDependency>>::traverse(to, called);
  return true;
}

}  // namespace hoist::detail
