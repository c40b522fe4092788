// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include "json.hpp"
#include "top_samples.hpp"

// What `hoist top` shows, for programs and for browsers.

namespace hoist::tool {

Json top_json(const TopSamples& samples);

/// Complete without its script, which exchanges what is in it for newer.
std::string top_page(const TopSamples& samples);
std::string top_style();
std::string top_script(double interval_seconds);

}  // namespace hoist::tool
