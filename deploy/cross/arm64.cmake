# Toolchain file: arm64 on another machine, with Debian's cross compiler and a folder of arm64 packages that
# deploy/cross/arm64.sh makes: -DHW_SYSROOT=FOLDER.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES HW_SYSROOT) # which read this file again
set(CMAKE_SYSROOT ${HW_SYSROOT})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
# Programs of the build run under emulation: unit tests, and what they ask of each other.
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64-static -L ${HW_SYSROOT})
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${HW_SYSROOT})
set(ENV{PKG_CONFIG_LIBDIR} ${HW_SYSROOT}/usr/lib/aarch64-linux-gnu/pkgconfig:${HW_SYSROOT}/usr/share/pkgconfig)
set(HW_DEBIAN_ARCHITECTURE arm64)
