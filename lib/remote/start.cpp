// SPDX-License-Identifier: BSD-3-Clause
#include "remote/start.hpp"

#include <cfenv>
#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

namespace hoist::detail::remote {

void put_start(ipc::FieldWriter& frame, const WorkerOptions& options, unsigned threads) {
  frame.put(static_cast<std::uint32_t>(threads));
  frame.put(static_cast<std::uint32_t>(options.prefix_output));
  frame.put(static_cast<std::uint64_t>(options.max_tasks));
  frame.put(static_cast<std::uint64_t>(options.rss_limit));
  frame.put(static_cast<std::uint32_t>(options.env.size()));
  for (const auto& [name, value] : options.env) {
    frame.text(name);
    frame.text(value);
  }
}

Start read_start(ipc::FieldReader& frame) {
  Start start;
  start.threads = frame.get<std::uint32_t>();
  start.options.prefix_output = frame.get<std::uint32_t>() != 0;
  start.options.max_tasks = frame.get<std::uint64_t>();
  start.options.rss_limit = frame.get<std::uint64_t>();
  for (auto count = frame.get<std::uint32_t>(); count > 0; --count) {
    std::string name = frame.text();
    start.options.env[std::move(name)] = frame.text();
  }
  return start;
}

std::vector<std::byte> place_here(std::span<const std::byte> content) {
  constexpr std::size_t before = sizeof(std::uint32_t) + sizeof(std::fenv_t);
  std::vector<std::byte> place(content.begin(), content.end());
  ipc::FieldReader fields(content);
  fields.take(before);
  std::error_code ignored;
  if (!std::filesystem::is_directory(fields.text(), ignored)) {
    place.resize(before);
    place.resize(before + sizeof(std::uint32_t));
  }
  return place;
}

}  // namespace hoist::detail::remote
