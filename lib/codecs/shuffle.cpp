// SPDX-License-Identifier: BSD-3-Clause
#include "codecs/shuffle.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace hoist::detail::codecs {

namespace {

void shuffle_plain(const std::byte* from, std::size_t begin, std::size_t n, std::size_t width,
                   std::byte* to) {
  for (std::size_t k = 0; k < width; ++k) {
    for (std::size_t i = begin; i < n; ++i) to[k * n + i] = from[i * width + k];
  }
}

void unshuffle_plain(const Planes& planes, std::size_t begin, std::size_t n, std::size_t width,
                     std::byte* to) {
  for (std::size_t k = 0; k < width; ++k) {
    for (std::size_t i = begin; i < n; ++i) to[i * width + k] = planes[k][i];
  }
}

#if defined(__x86_64__)

// The bytes of 16 elements are addressed by four bits for the element and some bits for the byte
// within it. Interleaving the first half of all bytes with the second moves the top bit of the
// address to the bottom. Four of these steps move the element's bits below those of the byte; as
// many steps as the byte has bits move them back.

template <std::size_t Width, int Rounds>
[[gnu::always_inline]] inline void interleave(__m128i (&r)[Width]) {
  for (int round = 0; round < Rounds; ++round) {
    __m128i t[Width];
    for (std::size_t i = 0; i < Width / 2; ++i) {
      t[2 * i] = _mm_unpacklo_epi8(r[i], r[i + Width / 2]);
      t[2 * i + 1] = _mm_unpackhi_epi8(r[i], r[i + Width / 2]);
    }
    for (std::size_t i = 0; i < Width; ++i) r[i] = t[i];
  }
}

constexpr int log2_of(std::size_t width) { return width == 8 ? 3 : width == 4 ? 2 : 1; }

template <std::size_t Width>
std::size_t shuffle_sse2(const std::byte* from, std::size_t n, std::byte* to) {
  std::size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    __m128i r[Width];
    for (std::size_t k = 0; k < Width; ++k) {
      r[k] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i * Width + 16 * k));
    }
    interleave<Width, 4>(r);
    for (std::size_t k = 0; k < Width; ++k) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to + k * n + i), r[k]);
    }
  }
  return i;
}

template <std::size_t Width>
std::size_t unshuffle_sse2(const Planes& planes, std::size_t n, std::byte* to) {
  std::size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    __m128i r[Width];
    for (std::size_t k = 0; k < Width; ++k) {
      r[k] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(planes[k] + i));
    }
    interleave<Width, log2_of(Width)>(r);
    for (std::size_t k = 0; k < Width; ++k) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i * Width + 16 * k), r[k]);
    }
  }
  return i;
}

// With AVX2 the two halves of each register do the same for two neighbouring groups of 16.

template <std::size_t Width, int Rounds>
[[gnu::always_inline, gnu::target("avx2")]] inline void interleave2(__m256i (&r)[Width]) {
  for (int round = 0; round < Rounds; ++round) {
    __m256i t[Width];
    for (std::size_t i = 0; i < Width / 2; ++i) {
      t[2 * i] = _mm256_unpacklo_epi8(r[i], r[i + Width / 2]);
      t[2 * i + 1] = _mm256_unpackhi_epi8(r[i], r[i + Width / 2]);
    }
    for (std::size_t i = 0; i < Width; ++i) r[i] = t[i];
  }
}

template <std::size_t Width>
[[gnu::target("avx2")]] std::size_t shuffle_avx2(const std::byte* from, std::size_t n,
                                                 std::byte* to) {
  std::size_t i = 0;
  for (; i + 32 <= n; i += 32) {
    __m256i r[Width];
    for (std::size_t k = 0; k < Width; ++k) {
      const std::byte* at = from + i * Width + 16 * k;
      r[k] = _mm256_loadu2_m128i(reinterpret_cast<const __m128i*>(at + 16 * Width),
                                 reinterpret_cast<const __m128i*>(at));
    }
    interleave2<Width, 4>(r);
    for (std::size_t k = 0; k < Width; ++k) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + k * n + i), r[k]);
    }
  }
  return i;
}

template <std::size_t Width>
[[gnu::target("avx2")]] std::size_t unshuffle_avx2(const Planes& planes, std::size_t n,
                                                   std::byte* to) {
  std::size_t i = 0;
  for (; i + 32 <= n; i += 32) {
    __m256i r[Width];
    for (std::size_t k = 0; k < Width; ++k) {
      r[k] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(planes[k] + i));
    }
    interleave2<Width, log2_of(Width)>(r);
    for (std::size_t k = 0; k < Width; ++k) {
      std::byte* at = to + i * Width + 16 * k;
      _mm256_storeu2_m128i(reinterpret_cast<__m128i*>(at + 16 * Width),
                           reinterpret_cast<__m128i*>(at), r[k]);
    }
  }
  return i;
}

bool has_avx2() {
  static const bool has = __builtin_cpu_supports("avx2") != 0;
  return has;
}

template <std::size_t Width>
std::size_t shuffle_fast(const std::byte* from, std::size_t n, std::byte* to) {
  return has_avx2() ? shuffle_avx2<Width>(from, n, to) : shuffle_sse2<Width>(from, n, to);
}
template <std::size_t Width>
std::size_t unshuffle_fast(const Planes& planes, std::size_t n, std::byte* to) {
  return has_avx2() ? unshuffle_avx2<Width>(planes, n, to) : unshuffle_sse2<Width>(planes, n, to);
}

#else

template <std::size_t Width>
std::size_t shuffle_fast(const std::byte*, std::size_t, std::byte*) {
  return 0;
}
template <std::size_t Width>
std::size_t unshuffle_fast(const Planes&, std::size_t, std::byte*) {
  return 0;
}

#endif

}  // namespace

void shuffle(const std::byte* from, std::size_t n, std::size_t width, std::byte* to) {
  const std::size_t done = width == 8   ? shuffle_fast<8>(from, n, to)
                           : width == 4 ? shuffle_fast<4>(from, n, to)
                           : width == 2 ? shuffle_fast<2>(from, n, to)
                                        : 0;
  shuffle_plain(from, done, n, width, to);
}

void unshuffle(const Planes& planes, std::size_t n, std::size_t width, std::byte* to) {
  const std::size_t done = width == 8   ? unshuffle_fast<8>(planes, n, to)
                           : width == 4 ? unshuffle_fast<4>(planes, n, to)
                           : width == 2 ? unshuffle_fast<2>(planes, n, to)
                                        : 0;
  unshuffle_plain(planes, done, n, width, to);
}

bool looks_random(std::span<const std::byte> bytes) {
  constexpr std::size_t samples = 4096;
  constexpr std::size_t spots = 16;
  constexpr std::size_t spot_bytes = samples / spots;
  if (bytes.size() < 2 * samples) return false;  // the codec decides
  std::array<std::array<std::uint16_t, 256>, 2>
      counts{};  // two, because neighbours are often equal
  const std::size_t step = (bytes.size() - spot_bytes) / (spots - 1);
  for (std::size_t spot = 0; spot < spots; ++spot) {
    const std::byte* at = bytes.data() + spot * step;
    for (std::size_t i = 0; i < spot_bytes; i += 2) {
      ++counts[0][std::to_integer<std::size_t>(at[i])];
      ++counts[1][std::to_integer<std::size_t>(at[i + 1])];
    }
  }
  std::uint64_t squares = 0;
  for (std::size_t i = 0; i < 256; ++i) {
    const auto count = static_cast<std::uint64_t>(counts[0][i] + counts[1][i]);
    squares += count * count;
  }
  // Uniformly distributed random bytes give samples^2 / 256 + samples. An excess of e in the first
  // term means that about e / (2 ln 2) of a byte's 8 bits could be saved: here under 0.6 %.
  constexpr std::uint64_t even = samples * samples / 256;
  return squares < even + samples + even / 16;
}

}  // namespace hoist::detail::codecs
