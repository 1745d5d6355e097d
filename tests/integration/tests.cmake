# Integration tests: real daemons on loopback, driven by Python. One ctest a file. Quick ones have the
# label "integration"; those in k_long have "integration-full" and belong to tests/run.sh --full, which also
# runs "integration" and "threads" under ThreadSanitizer, but for "calm".
set(hw_python /usr/bin/python3)
if(NOT EXISTS ${hw_python})
  find_program(hw_python_found python3 REQUIRED)
  set(hw_python ${hw_python_found})
endif()

set(k_long test_streams200 test_cycles test_up test_browser_long test_timing test_timing_long test_bench
  test_bench_cluster test_codecs test_tracks test_changes test_timing_codecs test_browser_tls
  test_browser_changes test_hls_aligned test_hls_disk test_record_split test_record_faults test_record_life
  test_relay_ts test_relay_told test_gate_waits test_tool_relay test_late test_hls_only test_console
  test_image_root test_package test_autoscale test_docs test_console_tls)
# Long ones in which threads meet.
set(k_threads test_record_faults test_record_life test_relay_told test_gate_waits)
# Programs of one thread, questions that the number of threads has no part in, and of those that play every output of odd
# tags all but test_only.
set(k_calm test_browser test_tool_media test_media_tools test_read_mp4 test_load_tool test_ask_tool test_config test_openapi
  test_foreign test_leak test_console_alone test_k8s test_k8s_scripts test_image
  test_install test_doctor test_prometheus test_console_api test_scheduler test_redis test_wrap test_silence test_bad_media)
# Whose load or memory would say nothing in a sanitizer build: they run on the release build.
set(k_release test_streams200 test_cycles test_bench test_bench_cluster test_package)
# Which need the whole machine. The others wait most of their time: tests/run.sh has two of them run for each processor.
set(k_alone test_streams200 test_bench test_bench_cluster test_package test_browser_long test_timing_long)
# Which are two: real browsers.
set(k_two test_browser test_browser_tls test_browser_changes test_console_alone test_console test_console_tls)
# The longest, which begin first.
set(k_first test_cycles test_image_root test_docs test_codecs test_browser_changes test_hls test_tls test_outputs test_forward test_limits
  test_redis test_browser)

file(GLOB integration_tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/test_*.py)
foreach(source ${integration_tests})
  get_filename_component(name ${source} NAME_WE)
  add_test(NAME integration/${name} COMMAND ${hw_python} -B ${source})
  set(label integration)
  set(timeout_s 240)
  set(alone OFF)
  if(name IN_LIST k_long)
    set(label integration-full)
    set(timeout_s 1200)
  endif()
  if(name IN_LIST k_threads)
    list(APPEND label threads)
  elseif(name IN_LIST k_calm)
    list(APPEND label calm)
  endif()
  if(name IN_LIST k_alone)
    list(APPEND label alone)
    set(alone ON)
  endif()
  set(bin_dir ${CMAKE_BINARY_DIR}/bin)
  if(name IN_LIST k_release)
    set(bin_dir ${CMAKE_SOURCE_DIR}/.build/release/bin)
  endif()
  set_tests_properties(integration/${name} PROPERTIES LABELS "${label}" TIMEOUT ${timeout_s} RUN_SERIAL ${alone}
    ENVIRONMENT "HEADWATER_BIN_DIR=${bin_dir};HEADWATER_TEST_MEDIA=${CMAKE_BINARY_DIR}/test-media")
  if(name IN_LIST k_two)
    set_tests_properties(integration/${name} PROPERTIES PROCESSORS 2)
  endif()
  if(name IN_LIST k_first)
    set_tests_properties(integration/${name} PROPERTIES COST 100)
  endif()
endforeach()

# A cluster of several hosts under faults: cluster/README.md. Each of these uses the whole machine.
function(hw_cluster_test name label timeout_s)
  add_test(NAME integration/cluster/${name} COMMAND ${hw_python} -B ${CMAKE_CURRENT_LIST_DIR}/cluster/${ARGN})
  set_tests_properties(integration/cluster/${name} PROPERTIES LABELS "${label};alone" TIMEOUT ${timeout_s} RUN_SERIAL ON
    ENVIRONMENT "HEADWATER_BIN_DIR=${CMAKE_BINARY_DIR}/bin;HEADWATER_TEST_MEDIA=${CMAKE_BINARY_DIR}/test-media")
endfunction()
set(cluster_size)
if(HW_SANITIZE MATCHES thread)
  set(cluster_size --streams 10 --viewers 48) # ten times slower: the same faults under a tenth of the load
endif()
hw_cluster_test(net integration 120 test_net.py)
hw_cluster_test(doors integration 60 test_doors.py)
hw_cluster_test(faults integration 600 test_faults.py --set quick ${cluster_size})
hw_cluster_test(faults_rest integration-full 1200 test_faults.py --set rest ${cluster_size})
hw_cluster_test(links integration-full 300 test_links.py)
