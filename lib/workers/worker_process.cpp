// SPDX-License-Identifier: BSD-3-Clause
#include "workers/worker_process.hpp"

namespace hoist::detail::workers {

void WorkerProcess::announce_modules() {
  for (const std::size_t all = module_count(); announced_ < all; ++announced_) {
    const ModuleName name = module_name(announced_);
    ipc::FieldWriter frame;
    frame.text(name.build_id);
    frame.text(name.path);
    send(ipc::Kind::module, frame.bytes());
  }
}

std::uint32_t WorkerProcess::function_number(const void* address) {
  if (const auto known = functions_.find(address); known != functions_.end()) return known->second;
  const CodeAddress where = code_address_of(address);  // throws: then it has no number
  const auto number = static_cast<std::uint32_t>(functions_.size());
  functions_.emplace(address, number);
  announce_modules();
  ipc::FieldWriter frame;
  frame.put(where.module);
  frame.put(where.offset);
  send(ipc::Kind::function, frame.bytes());
  return number;
}

void WorkerProcess::send_initializer(const WorkerInitializer& initializer) {
  if (!initializer) return;
  for (const auto& shared : initializer.memory()) {
    const auto backing = shared->backing();
    share(next_segment++,
          {.fd = backing.fd, .bytes = backing.offset + shared->bytes(), .written = true});
  }
  ipc::FieldWriter frame;
  frame.put(function_number(reinterpret_cast<const void*>(initializer.run())));
  frame.put(std::uint32_t{0});
  frame.append(initializer.value().data(), initializer.value().size());
  send(ipc::Kind::initializer, frame.bytes());
  for (std::uint32_t number = 1; number < next_segment; ++number) {
    ipc::FieldWriter forgotten;
    forgotten.put(number);
    send(ipc::Kind::forget_segment, forgotten.bytes());
  }
}

}  // namespace hoist::detail::workers
