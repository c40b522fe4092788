// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/codec.hpp>
#include <hoist/dump.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "bench.hpp"

namespace bench {

using Bytes = std::vector<std::byte>;

/// The first bytes of all numbers, then their second ones, and so on, which makes a walk compress.
inline void shuffle(std::span<const double> numbers, Bytes& to) {
  const auto from = std::as_bytes(numbers);
  to.resize(from.size());
  for (std::size_t byte = 0; byte < sizeof(double); ++byte) {
    std::byte* plane = to.data() + byte * numbers.size();
    for (std::size_t i = 0; i < numbers.size(); ++i) plane[i] = from[i * sizeof(double) + byte];
  }
}
inline void unshuffle(const Bytes& from, std::span<double> numbers) {
  const auto to = std::as_writable_bytes(numbers);
  for (std::size_t byte = 0; byte < sizeof(double); ++byte) {
    const std::byte* plane = from.data() + byte * numbers.size();
    for (std::size_t i = 0; i < numbers.size(); ++i) to[i * sizeof(double) + byte] = plane[i];
  }
}

/// A minimal dump and load: compressed blocks are written to a file when they are ready.
class PlainFile {
 public:
  PlainFile(const std::string& path, int blocks)
      : path_(path), places_(static_cast<std::size_t>(blocks)) {}

  void begin() {
    ::unlink(path_.c_str());
    end();
    fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    end_ = 0;
  }
  void end() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  void dump_block(std::span<const double> numbers, int i) {
    thread_local Bytes shuffled;
    thread_local Bytes packed;
    shuffle(numbers, shuffled);
    codec_.compress_block(shuffled, hoist::Compression::default_level, packed);
    const std::size_t at = end_.fetch_add(packed.size());
    keep(::pwrite(fd_, packed.data(), packed.size(), static_cast<off_t>(at)));
    places_[static_cast<std::size_t>(i)] = {at, packed.size()};
  }
  void load_block(int i, std::span<double> numbers) const {
    thread_local Bytes packed;
    thread_local Bytes shuffled;
    const auto [at, size] = places_[static_cast<std::size_t>(i)];
    packed.resize(size);
    shuffled.resize(numbers.size_bytes());
    keep(::pread(fd_, packed.data(), size, static_cast<off_t>(at)));
    codec_.decompress_block(packed, shuffled);
    unshuffle(shuffled, numbers);
  }

 private:
  const hoist::Codec& codec_ = hoist::find_codec("zstd");
  std::string path_;
  int fd_ = -1;
  std::atomic<std::size_t> end_{0};
  std::vector<std::pair<std::size_t, std::size_t>> places_;
};

}  // namespace bench
