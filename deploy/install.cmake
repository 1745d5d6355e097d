# cmake --install, behind the programs: units, configuration, manual pages and the rest. Run at install time, when the
# prefix is known: below /usr configuration goes to /etc, elsewhere it stays below the prefix. Given by CMakeLists.txt:
# source_dir, build_dir.
set(bindir ${CMAKE_INSTALL_PREFIX}/bin)
set(etc ${CMAKE_INSTALL_PREFIX}/etc)
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
  set(etc /etc)
endif()
set(made ${build_dir}/install)

function(put folder)
  file(INSTALL DESTINATION ${folder} TYPE FILE FILES ${ARGN})
endfunction()

# What an administrator has changed stays: cpack makes its files conffiles, cmake --install leaves those that are there.
function(put_configuration folder name from)
  if(NOT EXISTS $ENV{DESTDIR}${folder}/${name})
    file(INSTALL DESTINATION ${folder} TYPE FILE RENAME ${name} FILES ${from})
  endif()
endfunction()

foreach(program node scheduler)
  configure_file(${source_dir}/deploy/systemd/headwater-${program}.service.in ${made}/headwater-${program}.service @ONLY)
  put(${CMAKE_INSTALL_PREFIX}/lib/systemd/system ${made}/headwater-${program}.service)
  put_configuration(${etc}/headwater ${program}.json ${source_dir}/conf/${program}_service.json)
  put(${CMAKE_INSTALL_PREFIX}/share/doc/headwater/examples ${source_dir}/conf/${program}.json)
endforeach()
put_configuration(${etc}/logrotate.d headwater ${source_dir}/deploy/logrotate/headwater)
configure_file(${source_dir}/deploy/systemd/headwater.sysusers ${made}/headwater.conf COPYONLY)
put(${CMAKE_INSTALL_PREFIX}/lib/sysusers.d ${made}/headwater.conf)
put(${CMAKE_INSTALL_PREFIX}/share/bash-completion/completions ${source_dir}/deploy/completion/headwater-tool)
foreach(program node scheduler) # completion is found by the name of the program
  file(CREATE_LINK headwater-tool ${made}/headwater-${program} SYMBOLIC)
  put(${CMAKE_INSTALL_PREFIX}/share/bash-completion/completions ${made}/headwater-${program})
endforeach()
put(${CMAKE_INSTALL_PREFIX}/share/doc/headwater ${source_dir}/README.md)
file(INSTALL DESTINATION ${CMAKE_INSTALL_PREFIX}/share/doc/headwater TYPE FILE RENAME copyright
  FILES ${source_dir}/deploy/debian/copyright)
execute_process(COMMAND gzip -9nc ${source_dir}/deploy/debian/changelog OUTPUT_FILE ${made}/changelog.gz
  COMMAND_ERROR_IS_FATAL ANY)
put(${CMAKE_INSTALL_PREFIX}/share/doc/headwater ${made}/changelog.gz)
file(GLOB pages ${build_dir}/man/*.gz)
foreach(page ${pages})
  string(REGEX REPLACE ".*\\.([0-9])\\.gz$" "\\1" section ${page})
  put(${CMAKE_INSTALL_PREFIX}/share/man/man${section} ${page})
endforeach()
