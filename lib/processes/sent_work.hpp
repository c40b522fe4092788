// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/process.hpp>

#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "ipc/channel.hpp"
#include "os/file.hpp"
#include "processes/own_process.hpp"

namespace hoist::detail::processes {

/// In the first message by the socket of a new process: what it is to be.
enum class ProcessRole : std::uint32_t { process = 1, fork_server = 2 };

inline constexpr std::uint32_t process_protocol = 1;
/// The longest message; what is longer is in a memory file.
inline constexpr std::size_t max_start_message = std::size_t{64} << 10;

/// A message with descriptors.
struct StartMessage {
  std::vector<std::byte> bytes;
  std::vector<os::Fd> fds;
  /// False if the receiver is gone.
  bool send(int socket) const;
};

/// The work of a process that does not inherit it, as messages: docs/formats/process.md. They can
/// be sent again.
class SentWork {
 public:
  /// Throws CannotTravel. `by_server`: the child finds the variables, directory and umask of the
  /// fork server and not of this process.
  SentWork(const Identity& identity, const ProcessWork& work, bool by_server,
           const std::map<std::string, std::string>& variables);
  /// False if the child is gone.
  bool send(int socket) const;

 private:
  std::vector<StartMessage> messages_;
};

/// Writes the program's modules, so that code addresses have a meaning, and reads them in another
/// process. `is_hosted`: that one does not run the program.
void write_modules(ipc::FieldWriter& to);
void read_modules(ipc::FieldReader& from, bool is_hosted);

/// Becomes what SentWork says, of which `first` was received already, and does not return.
[[noreturn]] void run_sent_work(int channel, StartMessage first, bool is_hosted);

/// Lets stdin be /dev/null.
void close_input();
/// Adds environment variables.
void set_variables(const std::map<std::string, std::string>& variables);

}  // namespace hoist::detail::processes
