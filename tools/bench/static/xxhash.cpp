// SPDX-License-Identifier: BSD-3-Clause
//
// libxxhash for programs without shared objects: in Debian's archive the functions are missing that
// take the widest vectors of the processor, which hoist calls. Those here know one kind of them.

#include <immintrin.h>
#include <cassert>
#include <cstdlib>
#include <cstring>

#pragma GCC push_options
#pragma GCC target("avx2")
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace {

XXH128_hash_t wide_128bits(const void* data, std::size_t n) { return XXH3_128bits(data, n); }
XXH64_hash_t wide_64bits(const void* data, std::size_t n) { return XXH3_64bits(data, n); }
XXH_errorcode wide_update(XXH3_state_t* state, const void* data, std::size_t n) {
  return XXH3_128bits_update(state, data, n);
}

}  // namespace
#pragma GCC pop_options

// The archive's own, by the names they are linked by: the header's macros stand for the above here.
XXH128_hash_t plain_128bits(const void* data, std::size_t n) asm("XXH3_128bits");
XXH64_hash_t plain_64bits(const void* data, std::size_t n) asm("XXH3_64bits");
XXH_errorcode plain_update(XXH3_state_t* state, const void* data,
                           std::size_t n) asm("XXH3_128bits_update");

namespace {
bool is_wide() {
  static const bool wide = __builtin_cpu_supports("avx2") != 0;
  return wide;
}
}  // namespace

extern "C" {

XXH128_hash_t XXH3_128bits_dispatch(const void* data, std::size_t n) {
  return is_wide() ? wide_128bits(data, n) : plain_128bits(data, n);
}
XXH64_hash_t XXH3_64bits_dispatch(const void* data, std::size_t n) {
  return is_wide() ? wide_64bits(data, n) : plain_64bits(data, n);
}
XXH_errorcode XXH3_128bits_update_dispatch(XXH3_state_t* state, const void* data, std::size_t n) {
  return is_wide() ? wide_update(state, data, n) : plain_update(state, data, n);
}

}  // extern "C"
