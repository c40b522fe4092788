// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/storage.hpp>

#include <memory>

namespace hoist::detail::arrays {

/// The storage by which this process has mapped the same file already; else this one, which is
/// known from now on. For memory with locks: the kernel knows one that a thread holds by its
/// address.
std::shared_ptr<Storage> only_mapping(std::shared_ptr<Storage> storage);

}  // namespace hoist::detail::arrays
