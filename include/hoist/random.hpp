// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/this_task.hpp>

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <limits>

// Random numbers that are the same whatever the number of workers:
//
//     auto samples = Parallel().map(std::views::iota(0, 1000), [](int) {
//       Philox4x64 random = task_rng(2026);
//       return std::normal_distribution<>(0, 1)(random);
//     });

namespace hoist {

/// The counter-based engine of C++26 ([rand.eng.philox], for four words and ten rounds), with which
/// its numbers agree: each block of four is a function of a key, from the seed, and a counter, so a
/// place in the sequence is reached at once, and different keys or counters give independent
/// numbers. Passes BigCrush (Salmon et al., 2011); not for cryptography.
///
/// A uniform random bit generator for the distributions of `<random>`, and a value that can be
/// stored, hashed and sent. Not thread-safe: each task has its own. A number takes about half as
/// long as one of std::mt19937_64, and an engine (88 bytes) is made in the time of two numbers.
template <class Word, Word multiplier_0, Word weyl_0, Word multiplier_1, Word weyl_1>
class PhiloxEngine {
 public:
  using result_type = Word;
  static constexpr std::size_t word_size = std::numeric_limits<Word>::digits;
  static constexpr std::size_t word_count = 4;
  static constexpr std::size_t round_count = 10;
  static constexpr result_type default_seed = 20111115;

  /// With the standard's default seed, after which the 10,000th number is known (4x64:
  /// 3409172418970261260, 4x32: 1955073260).
  constexpr PhiloxEngine() : PhiloxEngine(default_seed) {}
  /// Every value gives a sequence of its own.
  constexpr explicit PhiloxEngine(result_type value) { seed(value); }

  /// The bounds of its numbers.
  static constexpr result_type min() noexcept { return 0; }
  static constexpr result_type max() noexcept { return std::numeric_limits<Word>::max(); }

  /// Begins the sequence of this seed, with the counter at 0.
  constexpr void seed(result_type value = default_seed) {
    key_ = {value, 0};
    set_counter({});
  }
  /// Goes on with the block of this counter, whose most significant word is the first.
  constexpr void set_counter(const std::array<result_type, word_count>& counter) {
    for (std::size_t j = 0; j < word_count; ++j) counter_[j] = counter[word_count - 1 - j];
    at_ = word_count - 1;
  }

  /// The next number.
  constexpr result_type operator()() {
    if (++at_ == word_count) next_block();
    return block_[at_];
  }
  /// Leaves out so many numbers. Takes as long as to make one.
  constexpr void discard(unsigned long long numbers) {
    const std::size_t left = word_count - 1 - at_;
    if (numbers <= left) {
      at_ += static_cast<std::size_t>(numbers);
      return;
    }
    const unsigned long long beyond = numbers - left - 1;
    advance(beyond / word_count);
    next_block();
    at_ = static_cast<std::size_t>(beyond % word_count);
  }

  /// True if both go on with the same numbers.
  friend constexpr bool operator==(const PhiloxEngine& a, const PhiloxEngine& b) {
    return a.counter_ == b.counter_ && a.key_ == b.key_ && a.at_ == b.at_;
  }

  /// For hoist: all of its state.
  template <class Archive>
  void serialize(Archive& archive) {
    archive(counter_, key_, block_, at_);
  }

 private:
  __extension__ using Product = unsigned __int128;  // of words of 32 or 64 bits

  constexpr void next_block() {
    std::array<Word, word_count> x = counter_;
    std::array<Word, 2> key = key_;
    for (std::size_t round = 0; round < round_count; ++round) {
      const Product first = Product{x[2]} * multiplier_0;
      const Product second = Product{x[0]} * multiplier_1;
      x = {static_cast<Word>(static_cast<Word>(first >> word_size) ^ key[0] ^ x[1]),
           static_cast<Word>(first),
           static_cast<Word>(static_cast<Word>(second >> word_size) ^ key[1] ^ x[3]),
           static_cast<Word>(second)};
      key[0] += weyl_0;
      key[1] += weyl_1;
    }
    block_ = x;
    at_ = 0;
    advance(1);
  }
  constexpr void advance(unsigned long long blocks) {
    Product carry = blocks;
    for (Word& word : counter_) {
      carry += word;
      word = static_cast<Word>(carry);
      carry >>= word_size;
    }
  }

  std::array<Word, word_count> counter_{};  // the least significant word first
  std::array<Word, 2> key_{};
  std::array<Word, word_count> block_{};
  std::size_t at_ = word_count - 1;  // of the last number in the block
};

/// std::philox4x64 of C++26: 64-bit numbers.
using Philox4x64 = PhiloxEngine<std::uint64_t, 0xCA5A826395121157, 0x9E3779B97F4A7C15,
                                0xD2E7470EE14C6C93, 0xBB67AE8584CAA73B>;
/// std::philox4x32 of C++26: 32-bit numbers.
using Philox4x32 = PhiloxEngine<std::uint32_t, 0xCD9E8D57, 0x9E3779B9, 0xD2511F53, 0xBB67AE85>;

/// The random numbers of the task `index` of a loop: of the seed and the index alone, so they are
/// the same on every backend and in every attempt. Streams of different indices don't overlap each
/// other or that of `Philox4x64(seed)` (each has 2^130 numbers). Two loops that use one seed get
/// the same numbers, and so do loops inside different tasks: give each its own seed.
[[nodiscard]] constexpr Philox4x64 task_rng(std::uint64_t seed, std::size_t index) {
  Philox4x64 stream(seed);
  stream.set_counter({1, index, 0, 0});
  return stream;
}

/// Those of the calling thread's task (`this_task().index`). Each call begins the stream anew, so
/// call it once in a task. Throws BadArgument outside of tasks.
[[nodiscard]] inline Philox4x64 task_rng(std::uint64_t seed) {
  return task_rng(seed, this_task().index);
}

}  // namespace hoist
