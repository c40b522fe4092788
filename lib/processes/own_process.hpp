// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/process.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "processes/peer.hpp"

namespace hoist::detail::processes {

/// What a Process knows of itself and of its parent.
struct Identity {
  std::string name = "MainProcess";
  std::string number;  ///< "1:2:" in what is by default "Process-1:2"; empty in the main process
  bool daemon = false;
  StartMethod start_method = StartMethod::spawn;
  std::string parent_name;
  int parent_pid = 0;  ///< 0: it has none
};

/// That of this process.
Identity own_identity();
/// The number of the next child, in the form of Identity::number.
std::string next_child_number();
/// The name by default of a process of that number.
std::string default_name(const std::string& number);
/// `parent` is a descriptor of the parent; empty where that has ended.
void set_own_identity(Identity identity, os::Fd parent);
/// Lets a daemon have children. Those are to be daemons, too, which end with it.
void allow_children();
std::shared_ptr<Peer> own_peer();

void flush_standard_streams();

/// The life of a Process from where it has its identity: runs `work`, waits for its children,
/// writes out its streams, tells by `channel` how it ended, and ends. Exit handlers and static
/// objects of the program have no part in that, also where `work` calls exit().
[[noreturn]] void live_as_process(int channel, const std::function<void()>& work);

}  // namespace hoist::detail::processes
