// SPDX-License-Identifier: BSD-3-Clause
#include "backends/variable_check.hpp"

#include <hoist/detail/code_address.hpp>
#include <hoist/error.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "fingerprint/read_variables.hpp"
#include "os/fork_hook.hpp"

namespace hoist::detail::backends {

namespace {

/// A loop that calls more functions, or functions that read more variables, is not looked into any
/// further: a frame has room for them.
constexpr std::size_t max_functions = 16;
constexpr std::size_t max_variables = 64;
constexpr std::size_t max_name = 200;

/// What this process has asked its workers, and told its user.
struct Known {
  std::mutex mutex;
  std::map<std::uint64_t, Digest> values;  ///< by address: as of the last question
  std::set<std::string> differing;
  os::ForkHook fork_hook{mutex};

  /// Whether a question is worth it: the answer is known while the value stays as it was.
  bool is_new(const std::string& name, std::uint64_t address, const Digest& value) {
    const std::lock_guard lock(mutex);
    if (differing.contains(name)) return false;
    const auto [at, added] = values.try_emplace(address, value);
    return added || std::exchange(at->second, value) != value;
  }
  bool add_differing(const std::string& name) {
    const std::lock_guard lock(mutex);
    return differing.insert(name).second;
  }
};

Known& known() {
  static auto* const all = new Known;
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
  std::uint32_t count = 0;
  frame.put(count);  // patched below
  for (; asked_ < functions_.size(); ++asked_) {
    for (auto& [name, bytes] : fingerprint::variables_read_by(functions_[asked_])) {
      if (count == max_variables) break;
      name.resize(std::min(name.size(), max_name));
      const Digest value = fingerprint::digest_values({&bytes, 1});
      if (!known().is_new(name, bytes.begin, value) || !put_place(frame, bytes)) continue;
      frame.put(bytes.size);
      frame.put(value);
      frame.text(name);
      ++count;
    }
  }
  if (count == 0) return;
  frame.patch(0, count);
  worker.announce_modules();
  if (!worker.send(ipc::Kind::variables, frame.bytes())) return;
  worker.ring();
  worker_ = &worker;
}

void VariableCheck::take_answer(std::span<const std::byte> content) {
  worker_ = nullptr;
  ipc::FieldReader names(content);
  while (!names.left().empty()) {
    const std::string name = names.text();
    if (!known().add_differing(name)) continue;
    std::fprintf(stderr,
                 "hoist: tasks on \"spawn\" read the variable \"%s\", which differs between this "
                 "process and its workers: a worker is a new process and has the value it had when "
                 "main began. Pass it to the tasks as an argument, or set it in the workers' "
                 "initializer\n",
                 name.c_str());
  }
}

}  // namespace hoist::detail::backends
