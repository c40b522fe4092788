// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/code_address.hpp>
#include <hoist/error.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "remote/hosts.hpp"
#include "workers/output_writer.hpp"

// A worker host that says anything: after a right hello, the input in messages of 61 bytes.

namespace {

using namespace hoist::detail;

class Input final : public remote::Transport {
 public:
  explicit Input(std::span<const std::byte> bytes) : left_(bytes) {}
  void send(remote::Peer, std::vector<std::byte>) override {}
  std::size_t unsent(remote::Peer) const override { return 0; }
  bool poll(Events& events) override {
    if (!greeted_) {
      greeted_ = true;
      events.joined(1, "host");
      ipc::FieldWriter hello;
      hello.put(remote::protocol_version);
      hello.put(std::uint32_t{1});
      hello.put(std::uint32_t{1});
      hello.text(module_name(0).build_id);
      std::vector<std::byte> message;
      remote::append_frame(message, remote::kind::hello, 0, hello.bytes());
      events.received(1, message);
    }
    if (left_.empty()) return false;
    const auto message = left_.first(std::min<std::size_t>(61, left_.size()));
    left_ = left_.subspan(message.size());
    events.received(1, message);
    return true;
  }
  void drop(remote::Peer) override { left_ = {}; }
  void close() override {}
  std::chrono::microseconds round_trip() const override { return {}; }
  std::chrono::microseconds poll_interval() const override { return std::chrono::microseconds(1); }

 private:
  std::span<const std::byte> left_;
  bool greeted_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  remote::Hosts hosts("fuzz", std::make_unique<Input>(std::as_bytes(std::span(data, size))));
  try {
    const auto worker = hosts.lease({}, 1, true);
    static_cast<void>(worker);
  } catch (const hoist::Error&) {
    // Nothing has joined before the first poll.
  }
  try {
    hosts.slots();
    const auto worker = hosts.lease({}, 1, true);
    const std::size_t polls = size / 61 + 2;
    for (std::size_t i = 0; i < polls && !worker->dead(); ++i) {
      hosts.flush();
      try {
        while (worker->has_input()) worker->receive([](ipc::Kind, auto) {}, 1);
      } catch (const hoist::Error&) {
        // As for a loop: it ends.
      }
    }
    worker->receive_unsent([](ipc::Kind, auto) {});
  } catch (const hoist::Error&) {
  }
  // Who writes what the host has sent tells the hosts when it is done.
  workers::OutputWriter::flush_all(ipc::Clock::time_point::max());
  return 0;
}
