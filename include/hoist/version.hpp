// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

// The version of these headers, and of the shared library that a program is linked with: before 1.0
// no two releases of hoist are binary compatible. Files of older versions stay readable, and
// CHANGELOG.md says for each release what has changed in them.

/// The parts of the version, as numbers for the preprocessor.
#define HOIST_VERSION_MAJOR 0
#define HOIST_VERSION_MINOR 2
#define HOIST_VERSION_PATCH 0

/// The version as one number, to be compared: 0.2.0 is 200, 1.2.3 would be 10203.
#define HOIST_VERSION \
  (HOIST_VERSION_MAJOR * 10000 + HOIST_VERSION_MINOR * 100 + HOIST_VERSION_PATCH)

/// The version as text: "0.2.0".
#define HOIST_VERSION_STRING             \
  HOIST_DETAIL_TEXT(HOIST_VERSION_MAJOR) \
  "." HOIST_DETAIL_TEXT(HOIST_VERSION_MINOR) "." HOIST_DETAIL_TEXT(HOIST_VERSION_PATCH)

#define HOIST_DETAIL_TEXT(number) HOIST_DETAIL_TEXT_OF(number)
#define HOIST_DETAIL_TEXT_OF(number) #number
