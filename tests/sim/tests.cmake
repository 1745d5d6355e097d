# headwater-sim: the real node and the real scheduler in one program, on simulated loops, sockets and
# Redis. What sim_*.c defines, the linker does not look for in the libraries; README.md has the list.
file(GLOB sim_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*.c)
add_executable(headwater-sim ${sim_sources})
target_link_libraries(headwater-sim PRIVATE hw_node hw_scheduler PkgConfig::LIBEVENT PkgConfig::OPENSSL PkgConfig::NGHTTP2
  PkgConfig::HIREDIS PkgConfig::JANSSON Threads::Threads m)
foreach(symbol log_line getrandom getrusage close metrics_register metrics_register_histogram publish_decide)
  target_link_options(headwater-sim PRIVATE -Wl,--wrap=${symbol})
endforeach()
set_target_properties(headwater-sim PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

# A failure prints its seed and the command that replays it.
add_test(NAME sim/seeds COMMAND headwater-sim --runs 300 --jobs 2)
set_tests_properties(sim/seeds PROPERTIES LABELS sim TIMEOUT 240 PROCESSORS 2)
add_test(NAME sim/replay COMMAND sh -c "$1 --seed 7 --trail >$2/sim-a; $1 --seed 7 --trail >$2/sim-b; cmp $2/sim-a $2/sim-b"
  sh $<TARGET_FILE:headwater-sim> ${CMAKE_CURRENT_BINARY_DIR})
set_tests_properties(sim/replay PROPERTIES LABELS sim TIMEOUT 60)
# Takes what the tests beside it leave: its time is simulated.
add_test(NAME sim/many_seeds COMMAND nice -n 19 $<TARGET_FILE:headwater-sim> --first 10001 --runs 4000 --jobs 2)
set_tests_properties(sim/many_seeds PROPERTIES LABELS integration-full TIMEOUT 3600 COST 1000)
