// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/error.hpp>

#include <bit>
#include <cstddef>
#include <type_traits>

namespace hoist::detail {

static_assert(std::endian::native == std::endian::little,
              "hoist writes memory as it is and so far only runs on little-endian machines");

template <class T>
struct Form;

/// Blocks from this size on leave the meta stream and travel as segments: below it the record
/// around a segment would cost more than the copy it saves.
inline constexpr std::size_t segment_threshold = 4096;

/// Objects nest at most this deep; data that go further are refused before the stack runs out.
inline constexpr int max_depth = 1000;

[[noreturn]] void throw_too_deep();

/// What the archives share: the call that `serialize(Ar&)` makes, and the depth of nesting.
template <class Self>
class ArchiveBase {
 public:
  static constexpr bool describing = false;

  /// Visits each member in turn.
  template <class... Ts>
  void operator()(Ts&... members) {
    (Form<std::remove_const_t<Ts>>::traverse(static_cast<Self&>(*this), members), ...);
  }

  class Depth {
   public:
    explicit Depth(ArchiveBase& archive) : depth_(archive.depth_) {
      if (++depth_ > max_depth) throw_too_deep();
    }
    ~Depth() { --depth_; }
    Depth(const Depth&) = delete;
    Depth& operator=(const Depth&) = delete;

   private:
    int& depth_;
  };

 private:
  int depth_ = 0;
};

}  // namespace hoist::detail
