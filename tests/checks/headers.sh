#!/usr/bin/env bash
# headers.sh COMPILER ROOT [FLAG...]: every header compiles alone, and a second time in the same file.
set -uo pipefail
compiler=$1 root=$2
shift 2
cd "$root" || exit 1

compile() { # header compiler flag...
    local header=$1
    shift
    printf '#include "%s"\n#include "%s"\nextern int unused;\n' "$header" "$header" |
        "$@" -x c -std=c11 -Wall -Wextra -Werror -D_GNU_SOURCE -DHW_VERSION='"0"' -I. -fsyntax-only - ||
        { echo "$header does not compile alone"; exit 1; }
}
export -f compile

headers=$(find common proto node scheduler -name '*.h' 2>/dev/null | sort)
[ -n "$headers" ] || { echo "no header found in $root"; exit 1; }
xargs -P 2 -I {} bash -c 'compile "$@"' compile {} "$compiler" "$@" <<<"$headers" || exit 1
echo "$(wc -l <<<"$headers") headers compile alone"
