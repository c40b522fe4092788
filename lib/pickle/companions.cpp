// SPDX-License-Identifier: BSD-3-Clause
#include "pickle/companions.hpp"

#include <hoist/error.hpp>

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <optional>

#include "codecs/open.hpp"
#include "dynamic/value_node.hpp"
#include "formats/npy.hpp"
#include "pickle/pickle.hpp"

namespace hoist::detail::pickle {

namespace {

/// "ZF", then the length in 19 characters; 20 where Python 2 wrote it.
constexpr std::size_t head_bytes = 21;

/// Gives back a byte that was looked at.
class OneAhead final : public ByteSource {
 public:
  explicit OneAhead(ByteSource& in) : in_(in), held_(in.read(&first_, 1)) {}
  void drop_blank() {
    if (held_ == 1 && first_ == std::byte{' '}) held_ = 0;
  }
  std::size_t read(std::byte* to, std::size_t n) override {
    const std::size_t before = std::min(n, held_);
    if (before == 1) *to = first_;
    held_ -= before;
    return before + (n > before ? in_.read(to + before, n - before) : 0);
  }
  std::optional<std::uint64_t> left() const override {
    const auto more = in_.left();
    return more ? std::optional(*more + held_) : std::nullopt;
  }

 private:
  ByteSource& in_;
  std::byte first_{};
  std::size_t held_;
};

class OldJoblib final : public ByteSource {
 public:
  OldJoblib(ByteSource& in, std::uint64_t bytes, const Limits& limits, unsigned threads)
      : packed_(in), expected_(bytes) {
    packed_.drop_blank();
    in_ = codecs::open_compressed(find_codec("zlib"), packed_, limits, threads);
  }
  std::size_t read(std::byte* to, std::size_t n) override {
    const std::size_t got = in_->read(to, n);
    seen_ += got;
    if (got < n && seen_ != expected_) {
      throw DamagedData("not as many bytes come out of it as it says");
    }
    return got;
  }
  std::optional<std::uint64_t> left() const override {
    return std::min(*in_->left(), expected_ - std::min(expected_, seen_));
  }

 private:
  OneAhead packed_;
  std::uint64_t expected_;
  std::uint64_t seen_ = 0;
  std::unique_ptr<ByteSource> in_;
};

std::filesystem::path companion_path(const formats::Input& in, const std::string& name) {
  const std::filesystem::path& path = in.path();
  if (path.empty()) {
    throw UnsafeData(in.name() + ": its arrays lie in other files; load it by its path");
  }
  const std::string shown = Value(name).to_string(100);
  if (!in.options().companion_files) {
    throw UnsafeData(in.name() + ": its arrays lie in other files (" + shown +
                     "), as joblib before 0.10 wrote them; if you trust it, set "
                     "LoadOptions::companion_files");
  }
  constexpr std::string_view separators("/\\\0", 3);
  const bool plain = !name.empty() && name != "." && name != ".." &&
                     name.find_first_of(separators) == std::string::npos;
  if (!plain) {
    throw UnsafeData(in.name() + ": it names " + shown + ", which is no file in its own folder");
  }
  return path.parent_path() / name;
}

/// No link, which could lead elsewhere, and nothing that blocks.
os::FileSource open_companion(const std::filesystem::path& path) {
  os::Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  const std::string name = "\"" + path.string() + "\"";
  if (!fd && errno == ENOENT) throw NotFound(name + " is missing, which holds an array");
  if (!fd && errno == ELOOP) throw UnsafeData(name + " is a link");
  if (!fd) throw SystemError("can't open " + name, errno);
  if (!os::regular_size(fd.get())) throw UnsafeData(name + " is no regular file");
  return {path, std::move(fd)};
}

}  // namespace

bool is_old_joblib(std::span<const std::byte> first) {
  const std::string_view text(reinterpret_cast<const char*>(first.data()), first.size());
  return text.starts_with("ZF0x");
}

std::unique_ptr<ByteSource> open_old_joblib(ByteSource& in, const Limits& limits,
                                            unsigned threads) {
  std::array<char, head_bytes> head{};
  const std::size_t got = in.read(reinterpret_cast<std::byte*>(head.data()), head.size());
  const char* end = head.data() + head.size();
  std::uint64_t bytes = 0;
  const auto parsed = std::from_chars(head.data() + 4, end, bytes, 16);
  const bool good = got == head.size() && is_old_joblib(std::as_bytes(std::span(head))) &&
                    parsed.ec == std::errc() &&
                    std::string_view(parsed.ptr, end).find_first_not_of("L ") == std::string::npos;
  if (!good) throw DamagedData("its head, as joblib before 0.10 wrote one, is damaged");
  return std::make_unique<OldJoblib>(in, bytes, limits, threads);
}

Value read_companion(const formats::Input& in, const std::string& name) {
  os::FileSource file = open_companion(companion_path(in, name));
  LoadOptions options = in.options();
  if (!in.maps()) options.mmap = MmapMode::none;
  formats::Input npy(file, &file, "\"" + file.path().string() + "\"", options,
                     options.limits.max_bytes);
  Value value = formats::read_npy(npy, read_object_array);
  if (!npy.at_end()) npy.damaged("there are bytes behind the end of the array");
  return value;
}

Value read_compressed_companion(const formats::Input& in, const std::string& name) {
  os::FileSource file = open_companion(companion_path(in, name));
  const auto source = open_old_joblib(file, in.options().limits, in.options().threads);
  const auto bytes = static_cast<std::size_t>(*source->left());
  formats::Input content(*source, nullptr, "\"" + file.path().string() + "\"", in.options(), bytes);
  auto storage = content.bytes(bytes);
  if (!content.at_end()) content.damaged("more bytes come out of it than it says");
  return Value(
      std::make_shared<dynamic::TextNode>(dynamic::Kind::bytes, std::move(storage), bytes));
}

}  // namespace hoist::detail::pickle
