// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <concepts>
#include <string>
#include <string_view>

namespace hoist {

/// How to compress: `true` or a level from 1 (fast) to 9 (small) for the default method, a method's
/// name, `{name, level}`, or `false` or level 0 for no compression. If it is not set, the file's
/// extension decides.
///
/// A plain value. Names are those of hoist/codec.hpp; `dump` throws BadArgument for an unknown name
/// or a level outside 0 to 9.
class Compression {
 public:
  Compression() = default;
  Compression(std::same_as<bool> auto on) : level_(on ? default_level : 0), set_(true) {}
  Compression(int level) : level_(level), set_(true) {}
  Compression(std::string_view codec, int level = default_level)
      : codec_(codec), level_(level), set_(true) {}
  Compression(const char* codec, int level = default_level)
      : Compression(std::string_view(codec), level) {}
  Compression(const std::string& codec, int level = default_level)
      : Compression(std::string_view(codec), level) {}

  /// Of every method, 3.
  static constexpr int default_level = 3;

  /// False if nothing was asked for.
  bool is_set() const noexcept { return set_; }
  /// True for `false` and level 0.
  bool is_off() const noexcept { return set_ && level_ == 0; }
  /// The method's name; empty if only a level was given.
  const std::string& codec() const noexcept { return codec_; }
  /// 0 to 9; the default level if only a method was given.
  int level() const noexcept { return level_; }

 private:
  std::string codec_;
  int level_ = default_level;
  bool set_ = false;
};

}  // namespace hoist
