// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>

namespace hoist::detail::os {

/// Whether a page of a private file mapping has been written, and so ceased to be the file's. Also
/// true where the system doesn't tell. The kernel looks at mapped pages only; before Linux 6.7 it
/// took a millisecond per GiB.
bool any_page_is_private(const std::byte* data, std::size_t bytes);

}  // namespace hoist::detail::os
