# The Debian package: cpack -G DEB in a build folder. What it holds is what cmake --install installs below /usr.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME headwater)
set(CPACK_PACKAGE_CONTACT "Headwater maintainers <maintainers@headwater.example>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "live-streaming cluster: media node, scheduler and tools")
set(CPACK_PACKAGE_DESCRIPTION
  "Encoders publish to any origin node, viewers play from any edge node, and a\nscheduler knows where each stream lives. RTMP, HTTP-FLV, MPEG-TS, MP4 and HLS,\neach over TLS as well.")
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION video)
set(CPACK_DEBIAN_PACKAGE_DEPENDS passwd)
if(CMAKE_CROSSCOMPILING) # dpkg knows the packages of this machine alone
  set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE ${HW_DEBIAN_ARCHITECTURE})
  string(APPEND CPACK_DEBIAN_PACKAGE_DEPENDS
    ", libc6, libevent-2.1-7, libevent-openssl-2.1-7, libhiredis0.14, libjansson4, libnghttp2-14, libssl3")
else()
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
endif()
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "logrotate, procps") # procps: /bin/kill of the units
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "redis-server, ffmpeg")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${CMAKE_CURRENT_LIST_DIR}/debian/conffiles ${CMAKE_CURRENT_LIST_DIR}/debian/postinst
  ${CMAKE_CURRENT_LIST_DIR}/debian/prerm ${CMAKE_CURRENT_LIST_DIR}/debian/postrm)
include(CPack)
