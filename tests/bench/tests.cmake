# The regression guard runs on the release build: instructions of another one would say nothing.
add_test(NAME bench/guard COMMAND ${hw_python} -B ${CMAKE_CURRENT_LIST_DIR}/guard.py)
set_tests_properties(bench/guard PROPERTIES LABELS guard TIMEOUT 120
  ENVIRONMENT "HEADWATER_BIN_DIR=${CMAKE_SOURCE_DIR}/.build/release/bin")
