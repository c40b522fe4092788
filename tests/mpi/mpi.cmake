# SPDX-License-Identifier: BSD-3-Clause
#
# tests/mpi: what runs under mpirun, once with each MPI: the one that CMake finds and, where Debian's
# MPICH is installed beside Open MPI, that too. mpi/program.cpp is started in many ways by
# mpi/<file>.cpp; the conformance suite runs in rank 0.

function(hoist_mpi_tests flavour library mpi mpirun)
  add_executable(mpi_program_${flavour} mpi/program/program.cpp)
  target_include_directories(mpi_program_${flavour} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(mpi_program_${flavour} PRIVATE ${library} ${mpi})
  hoist_developer_target(mpi_program_${flavour})

  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/mpi/*.cpp)
  hoist_test_executable(test_mpi_${flavour} ${sources})
  target_compile_definitions(
    test_mpi_${flavour} PRIVATE HOIST_TEST_MPIRUN="${mpirun}" HOIST_TEST_MPI="${flavour}"
                                HOIST_TEST_PROGRAM="$<TARGET_FILE:mpi_program_${flavour}>")
  hoist_developer_target(test_mpi_${flavour})
  add_dependencies(test_mpi_${flavour} mpi_program_${flavour})
  foreach(source IN LISTS sources)
    cmake_path(GET source STEM name)
    add_test(NAME mpi.${name}_${flavour} COMMAND test_mpi_${flavour} --source-file=*/mpi/${name}.cpp)
    hoist_test_settings(mpi.${name}_${flavour} ${source})
    set_tests_properties(mpi.${name}_${flavour} PROPERTIES RESOURCE_LOCK mpi PROCESSORS 2)
  endforeach()

  add_executable(conformance_mpi_${flavour} $<TARGET_OBJECTS:test_conformance>)
  target_link_libraries(conformance_mpi_${flavour} PRIVATE hoist_test_main ${library})
  set_target_properties(conformance_mpi_${flavour} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  foreach(source IN LISTS sources_of_conformance)
    cmake_path(GET source STEM name)
    set(test conformance_mpi.${name}_${flavour})
    add_test(NAME ${test}
             COMMAND timeout --kill-after=5 280 ${mpirun} -n 3 $<TARGET_FILE:conformance_mpi_${flavour}>
                     --source-file=*/conformance/${name}.cpp)
    set_tests_properties(
      ${test} PROPERTIES TIMEOUT 300 RESOURCE_LOCK mpi PROCESSORS 2 ENVIRONMENT
                         "HOIST_BACKEND=mpi;HOIST_TEST_BACKEND=mpi;${mpi_environment}")
  endforeach()
endfunction()

# MPI may use more ranks than there are cores, as root too (each Open MPI has a variable of its own). It is not to look for displays, which takes five
# seconds where nobody answers for localhost.
set(mpi_environment OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
                    OMPI_MCA_rmaps_base_oversubscribe=1
                    PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe HWLOC_COMPONENTS=-gl)
hoist_mpi_tests(default hoist_mpi MPI::MPI_CXX "${MPIEXEC_EXECUTABLE}")

if(TARGET grid_search_mpi)
  hoist_cluster_example(mpi ${MPIEXEC_EXECUTABLE} -n 4 env HOIST_BACKEND=mpi $<TARGET_FILE:grid_search_mpi>
                        --backend mpi)
  set_tests_properties(example.cluster_mpi PROPERTIES RESOURCE_LOCK mpi PROCESSORS 2
                                                      ENVIRONMENT "${mpi_environment}")
endif()

find_package(PkgConfig QUIET)
find_program(HOIST_MPIRUN_MPICH mpirun.mpich)
if(PkgConfig_FOUND AND HOIST_MPIRUN_MPICH AND NOT MPI_CXX_LIBRARIES MATCHES mpich)
  pkg_check_modules(mpich QUIET IMPORTED_TARGET mpich)
  if(mpich_FOUND)
    hoist_component_library(hoist_mpi_mpich mpi PkgConfig::mpich)
    hoist_mpi_tests(mpich hoist_mpi_mpich PkgConfig::mpich "${HOIST_MPIRUN_MPICH}")
  endif()
endif()
