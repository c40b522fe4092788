// SPDX-License-Identifier: BSD-3-Clause
//
// What a Redis server answers, however it is cut: the first byte says into which pieces. Replies
// are taken as they are and, in turn, as bulks into memory of the reader.
#include <hoist/error.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "redis/reply.hpp"

namespace {

using namespace hoist::detail;

class Dripping final : public hoist::ByteSource {
 public:
  Dripping(std::span<const std::byte> bytes, std::size_t step) : bytes_(bytes), step_(step) {}
  std::size_t read(std::byte* to, std::size_t n) override {
    return bytes_.read(to, std::min(n, step_));
  }

 private:
  base::SpanSource bytes_;
  std::size_t step_;
};

std::size_t bytes_of(const redis::Reply& reply) {
  std::size_t bytes = sizeof reply + reply.text.capacity();
  for (const redis::Reply& item : reply.items) bytes += bytes_of(item);
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  Dripping input(std::as_bytes(std::span(data + 1, size - 1)), data[0] == 0 ? size : data[0]);
  base::PeekedSource source(input, 64);
  redis::ReplyReader reader(source);
  try {
    while (!source.some().empty()) {
      // Memory is taken for what has come, and for nothing that is only said to come.
      if (bytes_of(reader.read()) > (std::size_t{1} << 20) + 100 * size) __builtin_trap();
      std::array<std::byte, 256> room;
      reader.read_into([&](std::size_t bytes) {
        if (bytes > room.size()) throw hoist::DamagedData("no room");
        return std::span(room);
      });
    }
  } catch (const hoist::Error&) {
  }
  return 0;
}
