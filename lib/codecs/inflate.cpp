// SPDX-License-Identifier: BSD-3-Clause
#include "codecs/inflate.hpp"

#include <hoist/error.hpp>

#include <libdeflate.h>
#include <zlib.h>

#include <algorithm>
#include <new>
#include <optional>
#include <string>

namespace hoist::detail::codecs {

namespace {

constexpr std::size_t window_bytes = std::size_t{32} << 10;

Bytef* as_zlib(const std::byte* data) {
  return const_cast<Bytef*>(reinterpret_cast<const Bytef*>(data));
}

const char* name(Wrapper wrapper) {
  return wrapper == Wrapper::gzip ? "gzip" : wrapper == Wrapper::zlib ? "zlib" : "deflated";
}

class SequentialInflate final : public ByteSource {
 public:
  SequentialInflate(Input& input, Wrapper wrapper, const InflateState* inside)
      : input_(input), wrapper_(wrapper) {
    // zlib's parameter for a window of 32 KiB and the wrapper.
    const bool bare = inside != nullptr || wrapper == Wrapper::none;
    const int window = bare ? -15 : wrapper == Wrapper::gzip ? 15 + 16 : 15;
    if (inflateInit2(&stream_, window) != Z_OK) throw std::bad_alloc();
    if (inside != nullptr) {
      inside_ = *inside;
      if (!inside_->window.empty() &&
          inflateSetDictionary(&stream_, as_zlib(inside_->window.data()),
                               static_cast<uInt>(inside_->window.size())) != Z_OK) {
        inflateEnd(&stream_);
        throw std::bad_alloc();
      }
    }
  }
  ~SequentialInflate() override { inflateEnd(&stream_); }

  std::size_t read(std::byte* to, std::size_t n) override {
    std::size_t done = 0;
    while (done < n) {
      if (between_members_ && wrapper_ == Wrapper::gzip) skip_zeros(input_);
      const auto bytes = input_.some();
      if (between_members_) {
        if (bytes.empty()) break;
        if (wrapper_ != Wrapper::gzip) {
          throw DamagedData(std::string("bytes follow the end of the ") + name(wrapper_) + " data");
        }
        if (inflateReset2(&stream_, 15 + 16) != Z_OK) throw std::bad_alloc();
        between_members_ = false;
      }
      constexpr std::size_t most = std::size_t{1} << 30;  // zlib counts in 32 bits
      stream_.next_in = as_zlib(bytes.data());
      stream_.avail_in = static_cast<uInt>(std::min(bytes.size(), most));
      const std::size_t given = stream_.avail_in;
      const auto room = static_cast<uInt>(std::min(n - done, most));
      stream_.next_out = as_zlib(to + done);
      stream_.avail_out = room;
      const int state = inflate(&stream_, Z_NO_FLUSH);
      input_.take(given - stream_.avail_in);
      const std::size_t made = room - stream_.avail_out;
      if (inside_) {
        const std::span<const std::byte> piece(to + done, made);
        inside_->add(wrapper_, piece, wrapper_checksum(wrapper_, piece));
      }
      done += made;
      if (state == Z_STREAM_END) {
        if (inside_) check_trailer();
        between_members_ = true;
      } else if (state == Z_BUF_ERROR) {  // no progress: no input is left and no output held back
        throw DamagedData(std::string("the ") + name(wrapper_) + " data are cut short");
      } else if (state == Z_MEM_ERROR) {
        throw std::bad_alloc();
      } else if (state != Z_OK) {
        throw DamagedData(std::string("the ") + name(wrapper_) + " data are damaged: " +
                          (stream_.msg != nullptr ? stream_.msg : "no further detail"));
      }
    }
    return done;
  }

 private:
  void check_trailer() {
    const std::size_t n = trailer_bytes(wrapper_);
    const auto trailer = input_.peek(n);
    inside_->check_trailer(wrapper_, trailer.first(std::min(n, trailer.size())));
    input_.take(n);
    inside_.reset();
  }

  Input& input_;
  Wrapper wrapper_;
  z_stream stream_{};
  std::optional<InflateState> inside_;
  bool between_members_ = false;
};

}  // namespace

void skip_zeros(Input& input) {
  for (;;) {
    const auto bytes = input.some();
    const auto other = std::ranges::find_if(bytes, [](std::byte b) { return b != std::byte{}; });
    input.take(static_cast<std::size_t>(other - bytes.begin()));
    if (bytes.empty() || other != bytes.end()) return;
  }
}

InflateState InflateState::at_start(Wrapper wrapper) {
  return {wrapper == Wrapper::gzip ? 0U : 1U, 0, {}};
}

void InflateState::add_sum(Wrapper wrapper, std::size_t more, std::uint32_t sum) {
  const auto size = static_cast<z_off_t>(more);
  if (wrapper == Wrapper::gzip) {
    checksum = static_cast<std::uint32_t>(crc32_combine(checksum, sum, size));
  } else if (wrapper == Wrapper::zlib) {
    checksum = static_cast<std::uint32_t>(adler32_combine(checksum, sum, size));
  }
  bytes += more;
}

void InflateState::add(Wrapper wrapper, std::span<const std::byte> more, std::uint32_t sum) {
  add_sum(wrapper, more.size(), sum);
  if (more.size() >= window_bytes) {
    window.assign(more.end() - window_bytes, more.end());
  } else {
    window.insert(window.end(), more.begin(), more.end());
    if (window.size() > window_bytes) {
      window.erase(window.begin(), window.end() - window_bytes);
    }
  }
}

std::vector<std::byte> InflateState::trailer(Wrapper wrapper) const {
  std::vector<std::byte> made;
  if (wrapper == Wrapper::gzip) {
    for (unsigned shift = 0; shift < 32; shift += 8)
      made.push_back(std::byte(checksum >> shift & 255));
    for (unsigned shift = 0; shift < 32; shift += 8)
      made.push_back(std::byte(bytes >> shift & 255));
  } else if (wrapper == Wrapper::zlib) {
    for (unsigned shift = 32; shift > 0; shift -= 8) {
      made.push_back(std::byte(checksum >> (shift - 8) & 255));
    }
  }
  return made;
}

void InflateState::check_trailer(Wrapper wrapper, std::span<const std::byte> found) const {
  const auto wanted = trailer(wrapper);
  if (found.size() != wanted.size()) {
    throw DamagedData(std::string("the ") + name(wrapper) + " data are cut short");
  }
  if (!std::equal(found.begin(), found.end(), wanted.begin())) {
    throw DamagedData(std::string("the ") + name(wrapper) +
                      " data are damaged: their checksum is another");
  }
}

std::uint32_t wrapper_checksum(Wrapper wrapper, std::span<const std::byte> bytes) {
  if (wrapper == Wrapper::none) return 0;
  return wrapper == Wrapper::gzip ? libdeflate_crc32(0, bytes.data(), bytes.size())
                                  : libdeflate_adler32(1, bytes.data(), bytes.size());
}

std::unique_ptr<ByteSource> sequential_inflate(Input& input, Wrapper wrapper,
                                               const InflateState* inside) {
  return std::make_unique<SequentialInflate>(input, wrapper, inside);
}

}  // namespace hoist::detail::codecs
