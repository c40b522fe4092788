// SPDX-License-Identifier: BSD-3-Clause
#include "os/private_pages.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "os/file.hpp"

namespace hoist::detail::os {

namespace {

// The headers of Linux 6.1 don't have this request:
// https://docs.kernel.org/admin-guide/mm/pagemap.html
struct ScanRequest {
  std::uint64_t size = sizeof(ScanRequest);
  std::uint64_t flags = 0;
  std::uint64_t start = 0;
  std::uint64_t end = 0;
  std::uint64_t walk_end = 0;
  std::uint64_t regions = 0;
  std::uint64_t region_count = 0;
  std::uint64_t max_pages = 0;
  std::uint64_t inverted = 0;
  std::uint64_t all_of = 0;
  std::uint64_t any_of = 0;
  std::uint64_t returned = 0;
};
struct ScanRegion {
  std::uint64_t start = 0;
  std::uint64_t end = 0;
  std::uint64_t categories = 0;
};
constexpr std::uint64_t page_is_file = 1U << 2U;
constexpr std::uint64_t page_is_present = 1U << 3U;
constexpr std::uint64_t page_is_swapped = 1U << 4U;
const unsigned long pagemap_scan = _IOWR('f', 16, ScanRequest);

/// Whether a page between the addresses has all of the categories and none of the excluded ones;
/// nothing if the kernel doesn't know the request.
std::optional<bool> any_page(int pagemap, std::uint64_t start, std::uint64_t end,
                             std::uint64_t categories, std::uint64_t excluded) {
  ScanRegion region;
  ScanRequest request;
  request.start = start;
  request.end = end;
  request.regions = reinterpret_cast<std::uintptr_t>(&region);
  request.region_count = 1;
  request.max_pages = 1;
  request.inverted = excluded;
  request.all_of = categories | excluded;
  request.returned = categories;
  const int found = ::ioctl(pagemap, pagemap_scan, &request);
  if (found < 0) return std::nullopt;
  return found > 0;
}

/// The same for older kernels, from a word for every page.
bool any_word_tells(int pagemap, std::uint64_t at, std::uint64_t end) {
  constexpr std::uint64_t present = std::uint64_t{1} << 63U;
  constexpr std::uint64_t swapped = std::uint64_t{1} << 62U;
  constexpr std::uint64_t of_file = std::uint64_t{1} << 61U;
  std::vector<std::uint64_t> words(16384);
  while (at < end) {
    const std::size_t n = std::min<std::size_t>(words.size(), end - at);
    const ssize_t got = ::pread(pagemap, words.data(), n * sizeof(std::uint64_t),
                                static_cast<off_t>(at * sizeof(std::uint64_t)));
    if (got <= 0) return true;
    const std::size_t count = static_cast<std::size_t>(got) / sizeof(std::uint64_t);
    for (std::size_t i = 0; i < count; ++i) {
      if ((words[i] & swapped) != 0) return true;
      if ((words[i] & present) != 0 && (words[i] & of_file) == 0) return true;
    }
    at += count;
  }
  return false;
}

}  // namespace

bool any_page_is_private(const std::byte* data, std::size_t bytes) {
  const Fd pagemap(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  if (!pagemap) return true;
  static const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const std::uint64_t first = reinterpret_cast<std::uintptr_t>(data) / page;
  const std::uint64_t last = (reinterpret_cast<std::uintptr_t>(data) + bytes + page - 1) / page;
  const auto written =
      any_page(pagemap.get(), first * page, last * page, page_is_present, page_is_file);
  const auto gone = any_page(pagemap.get(), first * page, last * page, page_is_swapped, 0);
  if (written && gone) return *written || *gone;
  return any_word_tells(pagemap.get(), first, last);
}

}  // namespace hoist::detail::os
