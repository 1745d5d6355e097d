# Integration tests: real daemons on loopback, driven by Python. One ctest a file. Quick ones have the
# label "integration"; those in k_long have "integration-full" and belong to tests/run.sh --full.
set(hw_python /usr/bin/python3)
if(NOT EXISTS ${hw_python})
  find_program(hw_python_found python3 REQUIRED)
  set(hw_python ${hw_python_found})
endif()

set(k_long test_streams200 test_cycles test_up test_browser_long test_timing_long test_bench test_bench_cluster
  test_codecs test_tracks test_changes test_timing_codecs test_browser_tls
  test_browser_changes)
# Whose load or memory would say nothing in a sanitizer build: they run on the release build.
set(k_release test_streams200 test_cycles test_bench test_bench_cluster)

file(GLOB integration_tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/test_*.py)
foreach(source ${integration_tests})
  get_filename_component(name ${source} NAME_WE)
  add_test(NAME integration/${name} COMMAND ${hw_python} -B ${source})
  set(label integration)
  set(timeout_s 240)
  if(name IN_LIST k_long)
    set(label integration-full)
    set(timeout_s 1200)
  endif()
  set(bin_dir ${CMAKE_BINARY_DIR}/bin)
  if(name IN_LIST k_release)
    set(bin_dir ${CMAKE_SOURCE_DIR}/.build/release/bin)
  endif()
  set_tests_properties(integration/${name} PROPERTIES LABELS ${label} TIMEOUT ${timeout_s}
    ENVIRONMENT "HEADWATER_BIN_DIR=${bin_dir};HEADWATER_TEST_MEDIA=${CMAKE_BINARY_DIR}/test-media")
endforeach()

# A cluster of several hosts under faults: cluster/README.md. Each of these uses the whole machine.
function(hw_cluster_test name label timeout_s)
  add_test(NAME integration/cluster/${name} COMMAND ${hw_python} -B ${CMAKE_CURRENT_LIST_DIR}/cluster/${ARGN})
  set_tests_properties(integration/cluster/${name} PROPERTIES LABELS ${label} TIMEOUT ${timeout_s} RUN_SERIAL ON
    ENVIRONMENT "HEADWATER_BIN_DIR=${CMAKE_BINARY_DIR}/bin;HEADWATER_TEST_MEDIA=${CMAKE_BINARY_DIR}/test-media")
endfunction()
set(cluster_size)
if(HW_SANITIZE MATCHES thread)
  set(cluster_size --streams 10 --viewers 48) # ten times slower: the same faults under a tenth of the load
endif()
hw_cluster_test(net integration 120 test_net.py)
hw_cluster_test(faults integration 600 test_faults.py --set quick ${cluster_size})
hw_cluster_test(faults_rest integration-full 1200 test_faults.py --set rest ${cluster_size})
hw_cluster_test(links integration-full 300 test_links.py)
