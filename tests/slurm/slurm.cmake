# SPDX-License-Identifier: BSD-3-Clause
#
# tests/slurm: what runs on a Slurm cluster of four nodes on this machine, which each test starts and ends.

add_executable(slurm_program slurm/program/program.cpp)
target_link_libraries(slurm_program PRIVATE hoist::slurm)
hoist_developer_target(slurm_program)

file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/slurm/*.cpp)
hoist_test_executable(test_slurm ${sources})
target_link_libraries(test_slurm PRIVATE hoist::slurm)
target_compile_definitions(test_slurm PRIVATE HOIST_TEST_PROGRAM="$<TARGET_FILE:slurm_program>")
hoist_developer_target(test_slurm)
add_dependencies(test_slurm slurm_program)
foreach(source IN LISTS sources)
  cmake_path(GET source STEM name)
  add_test(NAME slurm.${name} COMMAND test_slurm --source-file=*/slurm/${name}.cpp)
  hoist_test_settings(slurm.${name} ${source})
  set_tests_properties(slurm.${name} PROPERTIES RESOURCE_LOCK slurm PROCESSORS 2)
endforeach()
