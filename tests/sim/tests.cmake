# headwater-sim: the real node and the real scheduler in one program, on simulated loops, sockets and
# Redis. What tests/sim/sim_*.c stands in for is left out of the sources; README.md has the list.
set(sim ${CMAKE_CURRENT_LIST_DIR})
file(GLOB sim_sources CONFIGURE_DEPENDS ${sim}/*.c)
file(GLOB sim_daemons CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/node/*.c ${CMAKE_SOURCE_DIR}/node/*/*.c
  ${CMAKE_SOURCE_DIR}/scheduler/*.c ${CMAKE_SOURCE_DIR}/common/net/*.c)
list(FILTER sim_daemons EXCLUDE REGEX "/(node|scheduler)/main\\.c$")
list(FILTER sim_daemons EXCLUDE REGEX
  "/common/net/(clock|loop|poller|tick|linger|conn|conn_[a-z]+|tls_[a-z]+|listener|listener_proxy|http_link)\\.c$")
add_executable(headwater-sim ${sim_sources} ${sim_daemons})
target_link_libraries(headwater-sim PRIVATE hw_options hw_common_media hw_common_base hw_proto_flv
  hw_proto_rtmp hw_proto_http hw_proto_cluster hw_proto_access hw_proto_ts hw_proto_mp4 hw_proto_ws hw_proto_hls hw_proto_proxy hw_proto_codec hw_node_openapi PkgConfig::LIBEVENT PkgConfig::OPENSSL PkgConfig::NGHTTP2 PkgConfig::HIREDIS
  PkgConfig::JANSSON Threads::Threads m)
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
add_test(NAME sim/many_seeds COMMAND headwater-sim --first 10001 --runs 4000 --jobs 2)
set_tests_properties(sim/many_seeds PROPERTIES LABELS integration-full TIMEOUT 3600 PROCESSORS 2)
