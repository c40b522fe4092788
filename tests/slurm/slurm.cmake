# SPDX-License-Identifier: BSD-3-Clause
#
# tests/slurm: what runs on a Slurm cluster of four nodes on this machine, which each test starts and ends.

add_executable(slurm_program slurm/program/program.cpp)
target_include_directories(slurm_program PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
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
  set_tests_properties(slurm.${name} PROPERTIES RESOURCE_LOCK slurm COST 50)
endforeach()

# A program that has a cluster to itself while a command runs.
add_executable(slurm_run support/slurm_run.cpp)
target_include_directories(slurm_run PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
target_compile_features(slurm_run PRIVATE cxx_std_20)
hoist_developer_target(slurm_run)

# hoist_slurm_run(TEST COMMAND): a line for a shell, with such a cluster.
function(hoist_slurm_run test command)
  add_test(NAME ${test} COMMAND slurm_run "${command}")
  set_tests_properties(${test} PROPERTIES TIMEOUT 300 RESOURCE_LOCK slurm COST 50
                                          SKIP_RETURN_CODE 77)
endfunction()

add_executable(conformance_slurm $<TARGET_OBJECTS:test_conformance>)
target_link_libraries(conformance_slurm PRIVATE hoist_test_main hoist::slurm)
set_target_properties(conformance_slurm PROPERTIES POSITION_INDEPENDENT_CODE OFF)
foreach(source IN LISTS sources_of_conformance)
  cmake_path(GET source STEM name)
  hoist_slurm_run(
    conformance_slurm.${name}
    "salloc --quiet --nodes=2 --ntasks=2 env HOIST_TEST_BACKEND=slurm $<TARGET_FILE:conformance_slurm> --source-file=*/conformance/${name}.cpp"
  )
endforeach()

if(TARGET grid_search_slurm)
  # The script as it stands: it finds the program in the search path.
  hoist_slurm_run(
    example.cluster_slurm
    "PATH=${PROJECT_BINARY_DIR}/bin:$PATH exec salloc --quiet --nodes=4 --exclusive ${CMAKE_COMMAND} -D ALONE=$<TARGET_FILE:grid_search> -D TOGETHER=${PROJECT_SOURCE_DIR}/docs/examples/cluster/slurm.sbatch -D DIRECTORY=${CMAKE_CURRENT_BINARY_DIR}/run/cluster_slurm -P ${CMAKE_CURRENT_SOURCE_DIR}/examples/same_table.cmake"
  )
endif()
