# SPDX-License-Identifier: BSD-3-Clause
#
# What hoist links against. The build includes this file, and it is installed beside
# hoistConfig.cmake, which includes it too: the two cannot disagree.
#
# Public dependencies are needed by users' translation units, private ones only at link time. A user
# of the shared library needs no private ones: hoistConfig.cmake then sets
# HOIST_PUBLIC_DEPENDENCIES_ONLY.

include(CMakeFindDependencyMacro)

# Defines the imported target hoist_deps::<name> from a header and libraries, wherever the system
# keeps them. Most of these packages have no CMake config on Debian.
macro(_hoist_find_library name header)
  if(NOT TARGET hoist_deps::${name})
    find_path(HOIST_${name}_INCLUDE_DIR ${header})
    set(_hoist_libraries "")
    foreach(_hoist_library ${ARGN})
      find_library(HOIST_${_hoist_library}_LIBRARY ${_hoist_library})
      list(APPEND _hoist_libraries "${HOIST_${_hoist_library}_LIBRARY}")
      mark_as_advanced(HOIST_${_hoist_library}_LIBRARY)
    endforeach()
    mark_as_advanced(HOIST_${name}_INCLUDE_DIR)
    if(NOT HOIST_${name}_INCLUDE_DIR OR "${_hoist_libraries}" MATCHES "NOTFOUND")
      message(FATAL_ERROR "hoist needs ${name} (header ${header}, library ${ARGN}): not found. "
                          "On Debian, tools/setup installs it.")
    endif()
    add_library(hoist_deps::${name} INTERFACE IMPORTED)
    set_target_properties(
      hoist_deps::${name} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${HOIST_${name}_INCLUDE_DIR}"
                                     INTERFACE_LINK_LIBRARIES "${_hoist_libraries}")
  endif()
endmacro()

find_dependency(Threads)
if(NOT HOIST_PUBLIC_DEPENDENCIES_ONLY)
  # Boost.Process needs Boost.Filesystem.
  find_dependency(Boost 1.81 CONFIG COMPONENTS filesystem)
  find_dependency(fmt CONFIG)
  _hoist_find_library(zstd zstd.h zstd)
  _hoist_find_library(lz4 lz4frame.h lz4)
  _hoist_find_library(zlib zlib.h z)
  _hoist_find_library(deflate libdeflate.h deflate)
  _hoist_find_library(bzip2 bzlib.h bz2)
  _hoist_find_library(lzma lzma.h lzma)
  _hoist_find_library(xxhash xxhash.h xxhash)
  _hoist_find_library(sodium sodium.h sodium)
  _hoist_find_library(zydis Zydis/Zydis.h Zydis Zycore)
endif()

# What a component needs.
macro(hoist_find_dependencies_of component)
  if(${component} STREQUAL "redis")
    find_dependency(OpenSSL)
  elseif(${component} STREQUAL "mpi")
    set(MPI_CXX_SKIP_MPICXX ON)
    find_dependency(MPI COMPONENTS CXX)
  endif()
endmacro()

# The same for programs that are linked without CMake.
set(hoist_static_dependencies
    Zydis
    Zycore
    zstd
    lz4
    z
    deflate
    bz2
    lzma
    xxhash
    sodium
    fmt
    boost_filesystem)

set(hoist_public_dependencies Threads::Threads)
set(hoist_private_dependencies
    hoist_deps::zstd
    hoist_deps::lz4
    hoist_deps::zlib
    hoist_deps::deflate
    hoist_deps::bzip2
    hoist_deps::lzma
    hoist_deps::xxhash
    hoist_deps::sodium
    hoist_deps::zydis
    fmt::fmt
    Boost::filesystem)
