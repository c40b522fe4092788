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
# Each component has its targets in a file of its own, read for those who ask for it.
foreach(component IN LISTS hoist_components)
  install(TARGETS hoist_${component} EXPORT hoist_${component})
  install(EXPORT hoist_${component} NAMESPACE hoist:: DESTINATION ${hoist_package_dir}
          FILE hoist_${component}.cmake)
endforeach()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/hoist DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.hpp")
install(EXPORT hoistTargets NAMESPACE hoist:: DESTINATION ${hoist_package_dir})
install(FILES ${PROJECT_BINARY_DIR}/hoistConfig.cmake ${PROJECT_BINARY_DIR}/hoistConfigVersion.cmake
              ${PROJECT_SOURCE_DIR}/tools/cmake/HoistDependencies.cmake
        DESTINATION ${hoist_package_dir})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
