#!/usr/bin/env bash
# Installs the packages of the named groups of deploy/packages.txt that are missing; does nothing and
# needs no rights when none is. Services that a package brings are not started.
# Usage: deploy/install-packages.sh GROUP...
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
policy=/usr/sbin/policy-rc.d
as_root=()
made_policy=no

die() { echo "install-packages.sh: $*" >&2; exit 1; }

# Our refusing policy goes away with us, whatever happened; a policy that was there before stays.
clean_up() {
    if [ "$made_policy" = yes ]; then
        "${as_root[@]}" rm -f "$policy"
    fi
}

# Prints the packages of the groups in the arguments, one a line.
packages_of() {
    local group line
    for group in "$@"; do
        line=$(sed -n "s/^$group: *//p" "$here/packages.txt")
        [ -n "$line" ] || die "packages.txt has no group \"$group\""
        printf '%s\n' $line # split on purpose: one word a package
    done
}

is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

[ $# -gt 0 ] || die "usage: install-packages.sh GROUP..."
command -v dpkg-query >/dev/null || die "dpkg-query not found: this needs Debian 12 or a relative of it"

wanted=$(packages_of "$@")
missing=()
for entry in $wanted; do
    package=${entry%%/*}
    if [ "$package" != "$entry" ] && command -v "${entry#*/}" >/dev/null; then
        continue # "package/command": the command is there, from wherever
    fi
    is_installed "$package" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null ||
        die "not root and no sudo; as root: apt-get install --no-install-recommends ${missing[*]}"
    as_root=(sudo)
fi

trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
echo "installing ${missing[*]}" >&2
if [ ! -e "$policy" ]; then
    made_policy=yes
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
fi
"${as_root[@]}" apt-get update -q >&2 || die "apt-get update failed"
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
    "${missing[@]}" >&2 </dev/null || die "apt-get install failed"
