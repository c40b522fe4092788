# SPDX-License-Identifier: BSD-3-Clause
#
# Settings of hoist's own builds. Nothing here reaches a user of the library.

if(PROJECT_IS_TOP_LEVEL)
  if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
  endif()
  set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
  set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
endif()

# ccache, where present, and told that precompiled headers are fine.
find_program(HOIST_CCACHE ccache)
mark_as_advanced(HOIST_CCACHE)
if(HOIST_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime
      ${HOIST_CCACHE})
endif()

if(HOIST_SANITIZE)
  add_compile_options(-fsanitize=${HOIST_SANITIZE} -fno-sanitize-recover=all
                      -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${HOIST_SANITIZE})
endif()
if(HOIST_BUILD_FUZZERS)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(HOIST_COVERAGE)
  # Counters are updated atomically, since the code measured is full of threads.
  add_compile_options(--coverage -fprofile-update=atomic)
  add_link_options(--coverage)
endif()

function(hoist_developer_target target)
  if(NOT PROJECT_IS_TOP_LEVEL)
    return()
  endif()
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # Warns on std::string concatenation in correct code (GCC bug 105651).
    target_compile_options(${target} PRIVATE -Wno-restrict)
    if(HOIST_UNITY)
      # Takes what a source has for itself for a header's.
      target_compile_options(${target} PRIVATE -Wno-subobject-linkage)
    endif()
    if(HOIST_SANITIZE)
      # Instrumented code defeats the flow analysis behind this one (GCC bug 105562).
      target_compile_options(${target} PRIVATE -Wno-maybe-uninitialized)
    endif()
  endif()
  if(HOIST_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
endfunction()
