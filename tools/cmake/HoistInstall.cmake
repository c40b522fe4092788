# SPDX-License-Identifier: BSD-3-Clause
#
# What is installed, and where. A static and a shared build may be installed to one prefix: targets are
# in files that are named by the kind of library. COMPONENTs are those of the Debian packages
# (HoistPackages.cmake); `cmake --install` without one installs all.

include(CMakePackageConfigHelpers)

set(hoist_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/hoist)
get_target_property(hoist_type hoist TYPE)
if(hoist_type STREQUAL "SHARED_LIBRARY")
  set(hoist_kind shared)
else()
  set(hoist_kind static)
endif()

# --- The library, and its components ----------------------------------------------------------------

# hoist_install_library(TARGET COMPONENT DEVELOPMENT-COMPONENT EXPORT)
function(hoist_install_library target component development export)
  install(
    TARGETS ${target}
    EXPORT ${export}
    LIBRARY COMPONENT ${component} NAMELINK_COMPONENT ${development}
    ARCHIVE COMPONENT ${development})
  install(EXPORT ${export} NAMESPACE hoist:: DESTINATION ${hoist_package_dir}
          FILE ${export}.cmake COMPONENT ${development})
endfunction()

# hoist_install_pkg_config(NAME DEVELOPMENT-COMPONENT DESCRIPTION LIBS PRIVATE-LIBS REQUIRED): the file finds
# its prefix from where it lies, so that an installed hoist may be moved.
function(hoist_install_pkg_config name development description libs private requires)
  cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX
             BASE_DIRECTORY ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig OUTPUT_VARIABLE up)
  string(REGEX REPLACE "/$" "" up "${up}")
  if(hoist_kind STREQUAL "static")
    # Nothing else tells the linker what an archive needs.
    set(libs "${libs} ${private} -Wl,--gc-sections")
    set(private "")
  endif()
  set(hoist_pc_name ${name})
  configure_file(${PROJECT_SOURCE_DIR}/tools/cmake/hoist.pc.in ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
          COMPONENT ${development})
endfunction()

hoist_install_library(hoist library development hoist_${hoist_kind})
list(TRANSFORM hoist_static_dependencies PREPEND "-l" OUTPUT_VARIABLE hoist_private_libs)
list(JOIN hoist_private_libs " " hoist_private_libs)
hoist_install_pkg_config(hoist development "${PROJECT_DESCRIPTION}" "-lhoist -pthread"
                         "${hoist_private_libs} -ldl" "")
set(hoist_redis_description "Caches and loops on a Redis server")
set(hoist_redis_private_libs "-lssl -lcrypto")
set(hoist_mpi_description "Loops on the ranks of an MPI job")
# What an MPI has to be linked with, its own compiler command knows.
set(hoist_mpi_private_libs "")
set(hoist_slurm_description "Loops on a Slurm cluster")
set(hoist_slurm_private_libs "")
foreach(component IN LISTS hoist_components)
  set(link_static "-Wl,--undefined=hoist_${component}_is_linked -lhoist_${component}")
  # One word, since pkg-config drops what it has seen before.
  set(link_shared "-Wl,--push-state,--no-as-needed,-lhoist_${component},--pop-state")
  hoist_install_library(hoist_${component} ${component} ${component}-development
                        hoist_${component}_${hoist_kind})
  hoist_install_pkg_config(
    hoist-${component} ${component}-development "${hoist_${component}_description}"
    "${link_${hoist_kind}}" "${hoist_${component}_private_libs}" hoist)
endforeach()

configure_package_config_file(
  ${PROJECT_SOURCE_DIR}/tools/cmake/hoistConfig.cmake.in ${PROJECT_BINARY_DIR}/hoistConfig.cmake
  INSTALL_DESTINATION ${hoist_package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/hoistConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/hoistConfig.cmake ${PROJECT_BINARY_DIR}/hoistConfigVersion.cmake
              ${PROJECT_SOURCE_DIR}/tools/cmake/HoistDependencies.cmake
        DESTINATION ${hoist_package_dir} COMPONENT development)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/hoist DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        COMPONENT development FILES_MATCHING PATTERN "*.hpp")

# --- The programs, with what the tool writes of its own definitions -----------------------------------

install(TARGETS hoist_worker EXPORT hoist_worker RUNTIME COMPONENT tools)
install(EXPORT hoist_worker NAMESPACE hoist:: DESTINATION ${hoist_package_dir}
        FILE hoist_worker.cmake COMPONENT development)

if(TARGET hoist_tool)
  if(hoist_kind STREQUAL "shared")
    # Finds the library of its own prefix, wherever that is.
    cmake_path(RELATIVE_PATH CMAKE_INSTALL_FULL_LIBDIR BASE_DIRECTORY ${CMAKE_INSTALL_FULL_BINDIR}
               OUTPUT_VARIABLE from_bin_to_lib)
    set_target_properties(hoist_tool PROPERTIES INSTALL_RPATH "$ORIGIN/${from_bin_to_lib}")
  endif()
  install(TARGETS hoist_tool RUNTIME COMPONENT tools)
endif()

# A build for another processor has them where it can run the tool.
if(TARGET hoist_tool AND (NOT CMAKE_CROSSCOMPILING OR CMAKE_CROSSCOMPILING_EMULATOR))
  set(pages ${PROJECT_BINARY_DIR}/pages)
  add_custom_command(
    OUTPUT ${pages}/complete
    COMMAND ${CMAKE_COMMAND} -E rm -rf ${pages}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${pages}
    COMMAND hoist_tool completion bash > ${pages}/hoist
    COMMAND hoist_tool completion zsh > ${pages}/_hoist
    COMMAND hoist_tool completion fish > ${pages}/hoist.fish
    COMMAND hoist_tool man ${pages}/man1
    COMMAND ${CMAKE_COMMAND} -E copy ${PROJECT_SOURCE_DIR}/tools/hoist_worker/hoist-worker.1 ${pages}/man1
    COMMAND gzip -9nr ${pages}/man1
    COMMAND ${CMAKE_COMMAND} -E touch ${pages}/complete
    DEPENDS hoist_tool tools/hoist_worker/hoist-worker.1
    COMMENT "Writing completions and manual pages")
  add_custom_target(hoist_pages ALL DEPENDS ${pages}/complete)
  set(HOIST_ZSH_COMPLETIONS ${CMAKE_INSTALL_DATADIR}/zsh/site-functions
      CACHE STRING "Where zsh looks for completions")
  mark_as_advanced(HOIST_ZSH_COMPLETIONS)
  install(FILES ${pages}/hoist DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
          COMPONENT tools)
  install(FILES ${pages}/_hoist DESTINATION ${HOIST_ZSH_COMPLETIONS} COMPONENT tools)
  install(FILES ${pages}/hoist.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d
          COMPONENT tools)
  install(DIRECTORY ${pages}/man1 DESTINATION ${CMAKE_INSTALL_MANDIR} COMPONENT tools)
endif()

# --- Documents ----------------------------------------------------------------------------------------

install(FILES ${PROJECT_SOURCE_DIR}/docs/guide.md DESTINATION ${CMAKE_INSTALL_DOCDIR}
        COMPONENT documentation)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs/guide ${PROJECT_SOURCE_DIR}/docs/formats
                  ${PROJECT_SOURCE_DIR}/docs/examples
        DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT documentation PATTERN ".*" EXCLUDE)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/CHANGELOG.md
        DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT licence)
