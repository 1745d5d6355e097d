#!/usr/bin/env bash
# Builds for arm64 on a machine of another kind, into .build/arm64: programs, package, and with --tests the unit tests, which
# "ctest --test-dir .build/arm64 -L unit" runs under emulation. Needs root once, for a folder of arm64 packages.
# Usage: deploy/cross/arm64.sh [--tests]
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$root/.build/arm64
sysroot=$root/.build/sysroot-arm64
libraries=libc6-dev,libevent-dev,libssl-dev,libnghttp2-dev,libhiredis-dev,libjansson-dev,libcmocka-dev
tests=OFF

die() { echo "arm64.sh: $*" >&2; exit 1; }

# Debian's libraries and headers for arm64, unpacked and not installed: this machine's own packages stay as they are.
make_sysroot() {
    local part=$sysroot.$$ package
    [ "$(id -u)" -eq 0 ] || die "debootstrap needs root to make $sysroot"
    debootstrap --arch=arm64 --foreign --variant=minbase --include=$libraries bookworm "$part" || {
        rm -rf "$part"
        die "debootstrap failed"
    }
    for package in "$part"/var/cache/apt/archives/*.deb; do dpkg-deb -x "$package" "$part"; done
    rm -rf "$part"/var/cache/apt/archives
    mv "$part" "$sysroot"
}

case ${1-} in
'') ;;
--tests) tests=ON ;;
*) echo "usage: arm64.sh [--tests]" >&2; exit 2 ;;
esac
"$root/deploy/install-packages.sh" build package arm64
[ -d "$sysroot" ] || make_sysroot
cmake -S "$root" -B "$build" -G Ninja -DCMAKE_TOOLCHAIN_FILE="$root/deploy/cross/arm64.cmake" -DHW_SYSROOT="$sysroot" \
    -DCMAKE_BUILD_TYPE=RelWithDebInfo -DHW_TESTS=$tests
cmake --build "$build" --parallel "$(nproc)"
(cd "$build" && cpack -G DEB)
