// SPDX-License-Identifier: BSD-3-Clause
#include "processes/sent_work.hpp"

#include <hoist/detail/code_address.hpp>
#include <hoist/detail/decoder.hpp>
#include <hoist/detail/encoder.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>

#include "ipc/channel.hpp"
#include "os/mapping.hpp"
#include "os/memory_file.hpp"
#include "os/socket.hpp"
#include "os/working_place.hpp"
#include "workers/payload.hpp"
#include "workers/result_sender.hpp"

namespace hoist::detail {

ProcessWork::~ProcessWork() = default;

namespace processes {

namespace {

/// Blocks of so many bytes travel in memory files.
constexpr std::size_t large_block = std::size_t{1} << 20;

os::Fd copy_descriptor(int fd) {
  os::Fd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!copy) throw SystemError("can't pass shared memory to a process", errno);
  return copy;
}

std::vector<std::byte> to_vector(std::span<const std::byte> bytes) {
  return {bytes.begin(), bytes.end()};
}

void write_variables(ipc::FieldWriter& to, const std::map<std::string, std::string>& variables) {
  to.put(static_cast<std::uint32_t>(variables.size()));
  for (const auto& [name, value] : variables) {
    to.text(name);
    to.text(value);
  }
}

void read_variables(ipc::FieldReader& from) {
  std::map<std::string, std::string> variables;
  for (auto n = from.get<std::uint32_t>(); n > 0; --n) {
    std::string name = from.text();
    variables[std::move(name)] = from.text();
  }
  set_variables(variables);
}

void write_place(ipc::FieldWriter& to) {
  const os::WorkingPlace place = os::working_place();
  to.text(place.directory);
  to.put(static_cast<std::uint32_t>(place.umask));
  to.put(place.floats);
}

void read_place(ipc::FieldReader& from) {
  os::WorkingPlace place{.directory = from.text()};
  place.umask = from.get<std::uint32_t>();
  place.floats = from.get<std::fenv_t>();
  os::enter(place);
}

void write_identity(ipc::FieldWriter& to, const Identity& identity) {
  to.text(identity.name);
  to.text(identity.number);
  to.put(static_cast<std::uint32_t>(identity.daemon));
  to.put(static_cast<std::uint32_t>(identity.start_method));
  to.text(identity.parent_name);
  to.put(static_cast<std::int32_t>(identity.parent_pid));
}

Identity read_identity(ipc::FieldReader& from) {
  Identity identity;
  identity.name = from.text();
  identity.number = from.text();
  identity.daemon = from.get<std::uint32_t>() != 0;
  identity.start_method = static_cast<StartMethod>(from.get<std::uint32_t>());
  identity.parent_name = from.text();
  identity.parent_pid = from.get<std::int32_t>();
  return identity;
}

/// Receives the memory files that are announced after the first message.
void receive_segments(int channel, std::uint32_t count, workers::SegmentTable& segments) {
  std::vector<std::byte> bytes;
  std::vector<os::Fd> fds;
  for (; count > 0; --count) {
    if (!os::receive_message(channel, max_start_message, bytes, fds)) ::_exit(1);
    if (fds.empty()) Decoder::throw_damaged();
    ipc::FieldReader fields(bytes);
    const auto number = fields.get<std::uint32_t>();
    const bool written = fields.get<std::uint32_t>() != 0;
    segments.add(number, std::move(fds.front()), fields.get<std::uint64_t>(), written);
  }
}

}  // namespace

bool StartMessage::send(int socket) const {
  std::vector<int> numbers;
  for (const os::Fd& fd : fds) numbers.push_back(fd.get());
  return os::send_message(socket, bytes, numbers);
}

void write_modules(ipc::FieldWriter& to) {
  const std::size_t count = module_count();
  to.put(static_cast<std::uint32_t>(count));
  for (std::size_t number = 0; number < count; ++number) {
    const ModuleName name = module_name(number);
    to.text(name.build_id);
    to.text(name.path);
  }
}

void read_modules(ipc::FieldReader& from, bool is_hosted) {
  const auto count = from.get<std::uint32_t>();
  for (std::uint32_t number = 0; number < count; ++number) {
    ModuleName name;
    name.build_id = from.text();
    name.path = from.text();
    // A child of a fork server knows those that the server was told of.
    if (number < peer_module_count()) continue;
    if (number == 0 && is_hosted) {
      add_missing_peer_module(
          "the process runs the program hoist-worker, since hoist is in a library only: it has the "
          "functions and constants of libraries, but not those of the program");
    } else {
      add_peer_module(name);
    }
  }
}

SentWork::SentWork(const Identity& identity, const ProcessWork& work, bool by_server,
                   const std::map<std::string, std::string>& variables) {
  Encoder encoder;
  encoder.set_for_new_process();
  const RunWork run = work.send(encoder);
  const CodeAddress code = code_address_of(reinterpret_cast<const void*>(run));
  messages_.emplace_back();
  workers::ResultSender sender(large_block, [&](std::span<const std::byte> content, int fd) {
    messages_.emplace_back().bytes = to_vector(content);
    messages_.back().fds.push_back(copy_descriptor(fd));
  });
  ipc::FieldWriter payload;
  workers::write_payload(payload, encoder.meta(), encoder.segments(), &sender);

  ipc::FieldWriter content;
  write_identity(content, identity);
  content.put(static_cast<std::uint32_t>(by_server));
  if (by_server) {
    write_variables(content, variables);
    write_place(content);
  }
  write_modules(content);
  content.put(code.module);
  content.put(code.offset);
  content.append(payload.bytes().data(), payload.size());

  StartMessage& first = messages_.front();
  ipc::FieldWriter head;
  head.put(process_protocol);
  head.put(ProcessRole::process);
  head.put(static_cast<std::uint32_t>(messages_.size() - 1));
  const bool fits = content.size() <= max_start_message - 64;
  head.put(static_cast<std::uint32_t>(fits));
  head.put(static_cast<std::uint64_t>(content.size()));
  if (fits) {
    head.append(content.bytes().data(), content.size());
  } else {
    first.fds.push_back(os::memory_copy("hoist-process", content.bytes()));
  }
  first.bytes = to_vector(head.bytes());
  if (os::Fd self = os::open_pidfd(::getpid())) first.fds.push_back(std::move(self));
}

bool SentWork::send(int socket) const {
  for (const StartMessage& message : messages_) {
    if (!message.send(socket)) return false;
  }
  return true;
}

void run_sent_work(int channel, StartMessage first, bool is_hosted) {
  ipc::FieldReader head(first.bytes);
  head.take(2 * sizeof(std::uint32_t));  // version and role
  const auto segment_count = head.get<std::uint32_t>();
  const bool fits = head.get<std::uint32_t>() != 0;
  const auto size = head.get<std::uint64_t>();
  // What is made here lives as long as the process.
  auto& mapping = *new os::Mapping;
  auto& segments = *new workers::SegmentTable;
  std::span<const std::byte> content = head.left();
  std::size_t next_fd = 0;
  if (!fits) {
    mapping = os::map_memory(first.fds.at(next_fd++).get(), size, os::MapAs::read_only);
    content = {mapping.data(), size};
  }
  if (content.size() < size) Decoder::throw_damaged();
  ipc::FieldReader fields(content);
  set_own_identity(read_identity(fields),
                   next_fd < first.fds.size() ? std::move(first.fds[next_fd]) : os::Fd());
  receive_segments(channel, segment_count, segments);
  live_as_process(channel, [&] {
    if (fields.get<std::uint32_t>() != 0) {
      read_variables(fields);
      read_place(fields);
    }
    read_modules(fields, is_hosted);
    CodeAddress code;
    code.module = fields.get<std::uint64_t>();
    code.offset = fields.get<std::uint64_t>();
    const auto run = reinterpret_cast<RunWork>(const_cast<void*>(resolve_code(code)));
    workers::PayloadSource source(fields.left(), segments, true);
    Decoder decoder(source);
    run(decoder);
  });
}

void close_input() {
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null < 0) return;
  ::dup2(null, STDIN_FILENO);
  if (null != STDIN_FILENO) ::close(null);
}

void set_variables(const std::map<std::string, std::string>& variables) {
  for (const auto& [name, value] : variables) ::setenv(name.c_str(), value.c_str(), 1);
}

}  // namespace processes
}  // namespace hoist::detail
