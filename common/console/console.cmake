# hw_common_console: the console and what serves it. Its files go into the program as arrays, one
# object file each, and a table of them; nothing is built or fetched.
set(console_folder ${CMAKE_SOURCE_DIR}/common/console)
set(console_generated ${CMAKE_BINARY_DIR}/generated/console)
file(GLOB console_files CONFIGURE_DEPENDS RELATIVE ${console_folder}
  ${console_folder}/*.html ${console_folder}/*.css ${console_folder}/*.js ${console_folder}/*.svg
  ${console_folder}/vendor/*)
set(console_sources)
set(console_names)
set(console_rows)
foreach(file ${console_files})
  get_filename_component(name ${file} NAME)
  string(MAKE_C_IDENTIFIER "k_console_${name}" symbol)
  add_custom_command(OUTPUT ${console_generated}/${symbol}.c
    COMMAND ${CMAKE_COMMAND} -DFROM=${console_folder}/${file} -DTO=${console_generated}/${symbol}.c
      -DNAME=${symbol} -DHEADER=common/console/files.h -P ${embed}
    DEPENDS ${console_folder}/${file} ${embed})
  list(APPEND console_sources ${console_generated}/${symbol}.c)
  string(APPEND console_names "extern const unsigned char ${symbol}[];\nextern const size_t ${symbol}_bytes;\n")
  string(APPEND console_rows "    {\"${name}\", ${symbol}, &${symbol}_bytes},\n")
endforeach()
file(CONFIGURE OUTPUT ${console_generated}/table.c CONTENT "#include \"common/console/files.h\"

${console_names}
const struct console_file k_console_files[] = {
${console_rows}    {NULL, NULL, NULL},
};
")
add_library(hw_console_files STATIC ${console_sources} ${console_generated}/table.c)
target_link_libraries(hw_console_files PRIVATE hw_options)
hw_library(common/console hw_common_net hw_console_files PkgConfig::JANSSON)
