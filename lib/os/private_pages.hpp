// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>

namespace hoist::detail::os {

/// Whether a page of a private file mapping has been written, so that it differs from the file.
/// Also true if that is unknown. Since Linux 6.7 the kernel skips pages that are not mapped;
/// before, this takes a millisecond per GiB.
bool any_page_is_private(const std::byte* data, std::size_t bytes);

}  // namespace hoist::detail::os
