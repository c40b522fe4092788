// SPDX-License-Identifier: BSD-3-Clause
#include "formats/input.hpp"

#include <hoist/error.hpp>

#include <algorithm>

#include "arrays/file_mapping.hpp"
#include "os/run_parallel.hpp"

namespace hoist::detail::formats {

namespace {

constexpr std::size_t buffer_bytes = std::size_t{64} << 10;
/// Each thread takes pieces of this size: large enough to amortise the call, small enough that the
/// threads end together.
constexpr std::size_t piece_bytes = std::size_t{4} << 20;
constexpr std::size_t step_bytes = std::size_t{1} << 20;
/// If the source can't be read again, stretches of this size that a first pass skips are kept in
/// storage of their own, which the second pass takes over.
constexpr std::size_t apart_bytes = std::size_t{64} << 10;

}  // namespace

Input::Input(ByteSource& in, os::FileSource* file, std::string name, const LoadOptions& options,
             std::uint64_t most)
    : in_(in),
      file_(file),
      name_(std::move(name)),
      options_(options),
      most_(most),
      buffer_(buffer_bytes) {}

void Input::damaged(const std::string& what) const {
  throw DamagedData(name_ + ": " + what + " (at byte " + std::to_string(position()) + ")");
}
void Input::limit(const std::string& what) const {
  throw LimitExceeded(name_ + ": " + what + " (at byte " + std::to_string(position()) + ")");
}

void Input::fill() {
  keep_read();
  start_ += end_;
  at_ = end_ = kept_at_ = 0;
  end_ = read_more(buffer_.data(), buffer_.size());
  if (start_ + end_ > most_ && file_ == nullptr) {
    limit("more than " + std::to_string(most_) +
          " bytes come out of it, the most that "
          "LoadOptions::limits.max_bytes allows");
  }
  if (end_ == 0) damaged("the file is cut short");
}

void Input::get_more(std::byte* to, std::size_t n) {
  while (n > 0) {
    if (at_ == end_) fill();
    const std::size_t some = std::min(n, end_ - at_);
    std::memcpy(to, buffer_.data() + at_, some);
    at_ += some;
    to += some;
    n -= some;
  }
}

void Input::expect(std::uint64_t n) const {
  const std::size_t held = end_ - at_;
  if (n <= held) return;
  if (const auto more = left()) {
    if (n - held > *more) damaged("the file is cut short");
  } else if (n > most_ || position() > most_ - n) {
    limit("an element of " + std::to_string(n) +
          " bytes would pass "
          "LoadOptions::limits.max_bytes");
  }
}

std::string Input::text(std::size_t n) {
  expect(n);
  std::string text;
  while (text.size() < n) {
    const std::size_t from = text.size();
    text.resize(from + std::min(n - from, step_bytes));
    get(text.data() + from, text.size() - from);
  }
  return text;
}

void Input::skip(std::size_t n) {
  expect(n);
  if (n > end_ - at_ && file_ != nullptr && !kept_) return skip_buffered(n);
  while (n > 0) {
    if (at_ == end_) fill();
    const std::size_t some = std::min(n, end_ - at_);
    at_ += some;
    n -= some;
  }
}

std::shared_ptr<Storage> Input::elements(std::size_t bytes) {
  if (bytes == 0) return nullptr;
  if (pass_ == Pass::first) {
    pass_over(bytes);
    return nullptr;
  }
  if (!maps()) return this->bytes(bytes);
  expect(bytes);
  auto storage = arrays::map_file(*file_, position(), bytes, options_.mmap);
  skip_buffered(bytes);
  return storage;
}

/// Of a file.
void Input::skip_buffered(std::size_t n) {
  const std::size_t buffered = std::min(n, end_ - at_);
  at_ += buffered;
  file_->skip(n - buffered);
  start_ += n - buffered;
}

std::shared_ptr<Storage> Input::bytes(std::size_t n) {
  if (auto storage = take_passed(n)) return storage;
  expect(n);
  auto storage = allocate_storage(n, Fill::none);
  get_large(storage->data(), n);
  return storage;
}

void Input::get_large(std::byte* to, std::size_t n) {
  // What is kept for the second pass goes through the buffer.
  if (pass_ == Pass::first && kept_ && n < apart_bytes) return get(to, n);
  const std::size_t buffered = std::min(n, end_ - at_);
  get(to, buffered);
  const std::size_t rest = n - buffered;
  if (rest == 0) return;
  to += buffered;
  if (file_ != nullptr && !kept_) {
    read_large(*file_, to, rest, options_.threads);
  } else {
    for (std::size_t done = 0; done < rest;) {
      const std::size_t got = read_more(to + done, std::min(rest - done, piece_bytes));
      if (got == 0) damaged("the file is cut short");
      done += got;
    }
  }
  start_ += rest;
}

bool Input::at_end() {
  if (at_ < end_) return false;
  keep_read();
  start_ += end_;
  at_ = end_ = kept_at_ = 0;
  end_ = read_more(buffer_.data(), buffer_.size());
  return end_ == 0;
}

// --- two passes ----------------------------------------------------------------------------------

void Input::begin_first_pass() {
  pass_ = Pass::first;
  first_ = position();
  kept_at_ = at_;
  const bool again = file_ != nullptr && file_->left();
  if (!again) kept_.emplace(name_);
}

/// Keeps what has been read of the buffer.
void Input::keep_read() {
  if (pass_ != Pass::first || !kept_) return;
  kept_->write(std::span(buffer_).subspan(kept_at_, at_ - kept_at_));
  kept_at_ = at_;
}

void Input::pass_over(std::size_t n) {
  if (!kept_ || n < apart_bytes) return skip(n);
  keep_read();
  expect(n);
  auto storage = allocate_storage(n, Fill::none);
  get_large(storage->data(), n);
  passed_.push_back(std::move(storage));
  passed_bytes_ += n;
  kept_at_ = at_;
}

std::shared_ptr<Storage> Input::take_passed(std::size_t n) {
  if (pass_ == Pass::first && kept_ && n >= apart_bytes) {
    pass_over(n);
    auto copy = allocate_storage(n, Fill::none);
    std::memcpy(copy->data(), passed_.back()->data(), n);
    return copy;
  }
  if (pass_ != Pass::second || n < apart_bytes || passed_.empty()) return nullptr;
  auto storage = std::move(passed_.front());
  passed_.pop_front();
  if (storage->bytes() != n) damaged("it is another one than a moment ago");
  passed_bytes_ -= n;
  start_ += n;
  return storage;
}

void Input::rewind() {
  pass_ = Pass::second;
  if (!kept_) {
    file_->seek(first_);
  } else {
    kept_->write(std::span(buffer_).subspan(kept_at_, end_ - kept_at_));
    kept_->end();
    kept_bytes_ = kept_->bytes();
  }
  start_ = first_;
  at_ = end_ = 0;
}

/// The next bytes behind the buffer, which may be fewer than there are.
std::size_t Input::read_more(std::byte* to, std::size_t n) {
  if (pass_ == Pass::second && kept_) {
    if (kept_->file() != nullptr) {
      if (const std::size_t got = kept_->file()->read(to, n); got > 0) return got;
    } else if (const std::size_t got = std::min(n, kept_bytes_.size()); got > 0) {
      std::memcpy(to, kept_bytes_.data(), got);
      kept_bytes_.remove_prefix(got);
      return got;
    }
  }
  return in_.read(to, n);
}

std::optional<std::uint64_t> Input::left() const {
  const auto more = in_.left();
  if (!more || pass_ != Pass::second || !kept_) return more;
  const os::FileSource* file = kept_->file();
  return *more + passed_bytes_ + (file != nullptr ? *file->left() : kept_bytes_.size());
}

void read_large(os::FileSource& file, std::byte* to, std::size_t n, unsigned threads) {
  if (n < 2 * piece_bytes) {
    if (file.read(to, n) != n) throw DamagedData("\"" + file.path().string() + "\" is cut short");
    return;
  }
  const std::uint64_t start = file.position();
  os::run_parallel(
      (n + piece_bytes - 1) / piece_bytes, os::transfer_threads(threads), [&](std::size_t i) {
        const std::size_t from = i * piece_bytes;
        const std::size_t size = std::min(piece_bytes, n - from);
        if (os::read_at(file.fd(), to + from, size, start + from, file.path().native()) != size) {
          throw DamagedData("\"" + file.path().string() + "\" is cut short");
        }
      });
  file.skip(n);
}

}  // namespace hoist::detail::formats
