// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/error.hpp>

#include <bit>
#include <cstddef>
#include <type_traits>

namespace hoist::detail {

static_assert(std::endian::native == std::endian::little,
              "hoist writes memory as it is and so far only runs on little-endian machines");

/// How a type is encoded, decoded, hashed and described; see detail/forms.hpp.
template <class T>
struct Form;

/// Blocks of at least this many bytes become segments instead of a part of the meta stream. For
/// smaller ones the record around a segment would cost more than the copy that it saves.
inline constexpr std::size_t segment_threshold = 4096;

/// The deepest nesting of objects; deeper data are refused before the stack overflows.
inline constexpr int max_depth = 1000;

[[noreturn]] void throw_too_deep();

/// What all archives share: the call operator that `serialize(Ar&)` uses, and the nesting depth.
template <class Self>
class ArchiveBase {
 public:
  static constexpr bool describing = false;

  /// Visits each member in turn.
  template <class... Ts>
  void operator()(Ts&... members) {
    (Form<std::remove_const_t<Ts>>::traverse(static_cast<Self&>(*this), members), ...);
  }

  /// Counts one level of nesting while it exists. Throws above max_depth.
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

  /// The object whose members are being visited, while it exists. What has the same address is a
  /// base of that object, and no object of its own.
  class Whole {
   public:
    Whole(ArchiveBase& archive, const void* object)
        : archive_(archive), outer_(archive.whole_), begins_(object != outer_) {
      archive.whole_ = object;
    }
    ~Whole() { archive_.whole_ = outer_; }
    Whole(const Whole&) = delete;
    Whole& operator=(const Whole&) = delete;

    bool begins() const noexcept { return begins_; }

   private:
    ArchiveBase& archive_;
    const void* outer_;
    bool begins_;
  };

 protected:
  /// Parts of what the other archive visits are visited by this one.
  void nest_in(const ArchiveBase& outer) noexcept { depth_ = outer.depth_; }

 private:
  int depth_ = 0;
  const void* whole_ = nullptr;
};

}  // namespace hoist::detail
