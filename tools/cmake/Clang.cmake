# SPDX-License-Identifier: BSD-3-Clause
#
# A toolchain file: the clang that tools/setup installs, whichever version this system has.
find_program(HOIST_CLANG NAMES clang++-19 clang++-18 clang++-17 clang++-16 clang++ REQUIRED)
mark_as_advanced(HOIST_CLANG)
set(CMAKE_CXX_COMPILER ${HOIST_CLANG})
