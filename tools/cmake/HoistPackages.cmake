# SPDX-License-Identifier: BSD-3-Clause
#
# The Debian packages, made by CPack from a build with the shared library and one with the static one
# (HOIST_STATIC_BUILD); tools/package makes both and says what goes where. A component whose library
# needs more than hoist's has packages of its own, so that libhoist0 depends on no MPI.

set(HOIST_STATIC_BUILD "" CACHE PATH "The build with the static library")
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME hoist)
# Each package has its own.
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")
set(CPACK_PACKAGE_VENDOR "The hoist authors")
set(CPACK_PACKAGE_CONTACT "The hoist authors <maintainers@hoist.invalid>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE ${HOIST_DEBIAN_REVISION})
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${PROJECT_BINARY_DIR})
# The static one first, as the other's hoist.pc serves both.
set(CPACK_INSTALL_CMAKE_PROJECTS "${PROJECT_BINARY_DIR};hoist;ALL;/")
if(HOIST_STATIC_BUILD)
  set(CPACK_INSTALL_CMAKE_PROJECTS "${HOIST_STATIC_BUILD};hoist;ALL;/;${CPACK_INSTALL_CMAKE_PROJECTS}")
endif()

set(hoist_debian_version "${PROJECT_VERSION}-${HOIST_DEBIAN_REVISION}")
set(hoist_debian_dir ${PROJECT_BINARY_DIR}/debian)
# What Debian's rules ask of each package, beside its files.
string(TIMESTAMP hoist_debian_date "%a, %d %b %Y %H:%M:%S +0000" UTC)
file(READ ${PROJECT_SOURCE_DIR}/LICENSE hoist_licence)
string(STRIP "${hoist_licence}" hoist_licence)
string(REGEX REPLACE "\n\n+" "\n.\n" hoist_licence "${hoist_licence}")
string(REPLACE "\n" "\n " hoist_licence " ${hoist_licence}")
configure_file(${PROJECT_SOURCE_DIR}/tools/cmake/debian/copyright.in ${hoist_debian_dir}/copyright @ONLY)
configure_file(${PROJECT_SOURCE_DIR}/tools/cmake/debian/changelog.in ${hoist_debian_dir}/changelog.Debian
               @ONLY)
execute_process(COMMAND gzip -9nf ${hoist_debian_dir}/changelog.Debian COMMAND_ERROR_IS_FATAL ANY)

# hoist_debian_package(COMPONENT NAME SECTION SUMMARY TEXT [LIBRARY L] [DEPENDS P...] [RECOMMENDS P...]
# [SUGGESTS P...]), with LIBRARY for one with that shared library.
set(CPACK_COMPONENTS_ALL "")
function(hoist_debian_package component name section summary text)
  cmake_parse_arguments(PARSE_ARGV 5 of "" "LIBRARY" "DEPENDS;RECOMMENDS;SUGGESTS")
  install(FILES ${hoist_debian_dir}/copyright ${hoist_debian_dir}/changelog.Debian.gz
          DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${name} COMPONENT ${component})
  string(TOUPPER ${component} upper)
  if(of_LIBRARY)
    # Before 1.0 no two versions are binary compatible, so that programs depend on the very version.
    # (CPack's own way to write this file calls ldconfig in scripts, which a trigger replaced.)
    set(dir ${hoist_debian_dir}/${component})
    file(WRITE ${dir}/shlibs
         "${of_LIBRARY} ${PROJECT_VERSION_MAJOR} ${name} (= ${hoist_debian_version})\n")
    file(WRITE ${dir}/triggers "activate-noawait ldconfig\n")
    set(CPACK_DEBIAN_${upper}_PACKAGE_CONTROL_EXTRA ${dir}/shlibs ${dir}/triggers PARENT_SCOPE)
  endif()
  foreach(list IN ITEMS DEPENDS RECOMMENDS SUGGESTS)
    list(JOIN of_${list} ", " of_${list})
    set(CPACK_DEBIAN_${upper}_PACKAGE_${list} "${of_${list}}" PARENT_SCOPE)
  endforeach()
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${name} PARENT_SCOPE)
  set(CPACK_DEBIAN_${upper}_PACKAGE_SECTION ${section} PARENT_SCOPE)
  set(CPACK_DEBIAN_${upper}_DESCRIPTION "${summary}\n${text}" PARENT_SCOPE)
  set(CPACK_COMPONENTS_ALL ${CPACK_COMPONENTS_ALL} ${component} PARENT_SCOPE)
endfunction()

set(about "hoist remembers what functions computed, in a cache on disk, runs loops
in parallel on threads, processes and other machines, and stores large
arrays: joblib and multiprocessing for C++.")
set(same "(= ${hoist_debian_version})")
# Headers that are opt-in, and what programs with the static library are linked with.
set(boost libboost${Boost_VERSION_MAJOR}.${Boost_VERSION_MINOR}-dev
          libboost-filesystem${Boost_VERSION_MAJOR}.${Boost_VERSION_MINOR}-dev)
hoist_debian_package(library libhoist${PROJECT_VERSION_MAJOR} libs
                     "cached functions, parallel loops, fast files for C++ (library)"
                     "${about}\n.\nThis is the shared library."
                     LIBRARY libhoist SUGGESTS "hoist ${same}")
hoist_debian_package(
  development libhoist-dev libdevel "cached functions, parallel loops, fast files for C++ (headers)"
  "${about}\n.\nThese are the headers, the static library, and the files for CMake and
pkg-config. What is recommended is needed by programs that are linked with
the static library."
  DEPENDS "libhoist${PROJECT_VERSION_MAJOR} ${same}" "hoist ${same}"
  RECOMMENDS ${boost} libfmt-dev libzydis-dev libzycore-dev zlib1g-dev libdeflate-dev libbz2-dev liblzma-dev
             liblz4-dev libzstd-dev libxxhash-dev libsodium-dev
  SUGGESTS libeigen3-dev hoist-doc)
set(libraries_of_tool "libhoist${PROJECT_VERSION_MAJOR} ${same}")
if(TARGET hoist_redis)
  list(APPEND libraries_of_tool "libhoist-redis${PROJECT_VERSION_MAJOR} ${same}")
endif()
hoist_debian_package(
  tools hoist utils "looks at caches of functions and at files of arrays"
  "hoist lists, verifies, prunes and merges caches of functions, shows,
compares and converts files of arrays (hoist's, NumPy's and joblib's), and
watches running loops."
  DEPENDS ${libraries_of_tool})
hoist_debian_package(documentation hoist-doc doc "cached functions, parallel loops, fast files for C++ (guide)"
                     "${about}\n.\nThis is the guide, the specification of each format, and examples.")
set(CPACK_DEBIAN_DOCUMENTATION_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_DOCUMENTATION_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SHLIBDEPS OFF)

set(packages_for_redis libssl-dev)
set(packages_for_mpi libopenmpi-dev)
set(packages_for_slurm slurm-client)
foreach(component IN LISTS hoist_components)
  set(text "${about}\n.\n${hoist_${component}_description}, for programs that ask for it.")
  hoist_debian_package(${component} libhoist-${component}${PROJECT_VERSION_MAJOR} libs
                       "hoist's loops and caches on several machines: ${component} (library)" "${text}"
                       LIBRARY libhoist_${component} DEPENDS "libhoist${PROJECT_VERSION_MAJOR} ${same}")
  hoist_debian_package(
    ${component}-development libhoist-${component}-dev libdevel
    "hoist's loops and caches on several machines: ${component} (for building)" "${text}"
    DEPENDS "libhoist-${component}${PROJECT_VERSION_MAJOR} ${same}" "libhoist-dev ${same}"
    RECOMMENDS ${packages_for_${component}})
  string(TOUPPER ${component} upper)
  set(CPACK_DEBIAN_${upper}-DEVELOPMENT_PACKAGE_SHLIBDEPS OFF)
endforeach()

include(CPack)
