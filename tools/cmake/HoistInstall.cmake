# SPDX-License-Identifier: BSD-3-Clause

include(CMakePackageConfigHelpers)

set(hoist_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/hoist)
get_target_property(hoist_type hoist TYPE)
if(hoist_type STREQUAL "SHARED_LIBRARY")
  set(hoist_is_shared ON)
else()
  set(hoist_is_shared OFF)
endif()

configure_package_config_file(
  ${PROJECT_SOURCE_DIR}/tools/cmake/hoistConfig.cmake.in ${PROJECT_BINARY_DIR}/hoistConfig.cmake
  INSTALL_DESTINATION ${hoist_package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/hoistConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)

install(TARGETS hoist hoist_worker EXPORT hoistTargets)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/hoist DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.hpp")
install(EXPORT hoistTargets NAMESPACE hoist:: DESTINATION ${hoist_package_dir})
install(FILES ${PROJECT_BINARY_DIR}/hoistConfig.cmake ${PROJECT_BINARY_DIR}/hoistConfigVersion.cmake
              ${PROJECT_SOURCE_DIR}/tools/cmake/HoistDependencies.cmake
        DESTINATION ${hoist_package_dir})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
