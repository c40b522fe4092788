// SPDX-License-Identifier: BSD-3-Clause
#include "backends/variable_check.hpp"

#include <hoist/detail/code_address.hpp>
#include <hoist/error.hpp>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>
#include <utility>

#include "fingerprint/read_variables.hpp"
#include "os/fork_hook.hpp"
#include "os/log.hpp"

namespace hoist::detail::backends {

namespace {

/// Functions and variables beyond these are not compared: a question fits into one frame, and a
/// loop over many functions is not held up for long.
constexpr std::size_t max_functions = 16;
constexpr std::size_t max_variables = 64;
constexpr std::size_t max_name = 200;

/// Variables that the user was told of, by address.
struct Reported {
  std::mutex mutex;
  std::set<std::uint64_t> addresses;
  os::ForkHook fork_hook{mutex};

  bool has(std::uint64_t address) {
    const std::lock_guard lock(mutex);
    return addresses.contains(address);
  }
  bool add(std::uint64_t address) {
    const std::lock_guard lock(mutex);
    return addresses.insert(address).second;
  }
};

Reported& reported() {
  static auto* const all = new Reported;
  return *all;
}

/// False for a variable that belongs to no file.
bool put_place(ipc::FieldWriter& to, const fingerprint::VariableBytes& bytes) {
  try {
    const auto where = code_address_of(reinterpret_cast<const void*>(bytes.begin));
    to.put(where.module);
    to.put(where.offset);
    return true;
  } catch (const CannotTravel&) {
    return false;
  }
}

}  // namespace

void VariableCheck::add(const void* function) {
  last_ = function;
  if (&fingerprint::variables_read_by == nullptr || functions_.size() == max_functions) return;
  if (std::ranges::find(functions_, function) == functions_.end()) functions_.push_back(function);
}

void VariableCheck::ask(workers::WorkerProcess& worker) {
  ipc::FieldWriter frame;
  static std::atomic<std::uint32_t> last_question{0};
  question_ = ++last_question;
  frame.put(question_);
  frame.put(std::uint32_t{0});  // patched below: how many
  variables_.clear();
  for (auto& [name, bytes] : fingerprint::variables_read_by(functions_[asked_++])) {
    if (variables_.size() == max_variables) break;
    if (reported().has(bytes.begin)) continue;
    // The answer is known as long as neither the value nor the worker is another one.
    const Digest value = fingerprint::digest_values({&bytes, 1});
    const auto [known, is_new] = worker.compared_variables.try_emplace(bytes.begin, value);
    if (!is_new && std::exchange(known->second, value) == value) continue;
    if (!put_place(frame, bytes)) continue;
    frame.put(bytes.size);
    frame.put(value);
    name.resize(std::min(name.size(), max_name));
    variables_.push_back({bytes.begin, std::move(name)});
  }
  if (variables_.empty()) return;
  frame.patch(sizeof question_, static_cast<std::uint32_t>(variables_.size()));
  worker.announce_modules();
  if (!worker.send(ipc::Kind::variables, frame.bytes())) return;
  worker.ring();
  awaited_ = &worker;
}

void VariableCheck::take_answer(std::span<const std::byte> content) {
  ipc::FieldReader numbers(content);
  if (numbers.get<std::uint32_t>() != question_) return;
  awaited_ = nullptr;
  while (!numbers.left().empty()) {
    const Variable& variable = variables_.at(numbers.get<std::uint32_t>());
    if (!reported().add(variable.address)) continue;
    os::log(LogLevel::warning, "parallel",
            "tasks in worker processes read the variable \"" + variable.name +
                "\", whose value differs between this process and its workers: a worker is a new "
                "process, in which it has the value from before main. Pass it to the tasks as an "
                "argument, or set it in the workers' initializer");
  }
}

void VariableCheck::forget(const workers::WorkerProcess& worker) {
  if (awaited_ != &worker) return;
  awaited_ = nullptr;
  --asked_;
}

}  // namespace hoist::detail::backends
