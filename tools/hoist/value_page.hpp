// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/value.hpp>

#include <string>

#include "tree.hpp"

namespace hoist::tool {

/// A value as an HTML page of one file, which loads nothing and needs no script.
std::string value_page(const std::string& file, const std::string& description,
                       const std::string& name, const Value& value, const TreeOptions& options);

}  // namespace hoist::tool
