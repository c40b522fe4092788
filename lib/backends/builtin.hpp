// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/backend.hpp>

#include <memory>

namespace hoist::detail {

std::unique_ptr<Backend> make_sequential_backend();
std::unique_ptr<Backend> make_threads_backend();

}  // namespace hoist::detail
