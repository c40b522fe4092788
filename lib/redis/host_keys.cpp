// SPDX-License-Identifier: BSD-3-Clause
#include "redis/host_keys.hpp"

#include <fmt/format.h>

#include <chrono>
#include <locale>
#include <sstream>

namespace hoist::detail::redis {

std::string status_text(const RedisWorkerHost& host) {
  return fmt::format("{} {} {} {} {} {} {:.1f} {} {} {}", host.pid, host.slots, host.cores,
                     host.workers, host.programs, host.tasks, host.tasks_per_second,
                     host.age.count(), static_cast<int>(host.is_leaving), host.machine);
}

RedisWorkerHost parse_status(const std::string& id, const std::string& text) {
  RedisWorkerHost host{.id = id};
  std::istringstream fields(text);
  fields.imbue(std::locale::classic());  // the program's may have another decimal point
  long age = 0;
  fields >> host.pid >> host.slots >> host.cores >> host.workers >> host.programs >> host.tasks >>
      host.tasks_per_second >> age >> host.is_leaving;
  std::getline(fields >> std::ws, host.machine);
  host.age = std::chrono::seconds(age);
  return host;
}

}  // namespace hoist::detail::redis
