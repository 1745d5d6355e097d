#!/usr/bin/env bash
# format.sh CLANG_FORMAT ROOT: clang-format would change nothing.
set -uo pipefail
clang_format=$1
cd "$2" || exit 1

files=$(find common proto node scheduler tests \( -name '*.c' -o -name '*.h' \) 2>/dev/null | sort)
[ -n "$files" ] || { echo "no source found"; exit 1; }
unformatted=$(xargs -P 2 -n 20 "$clang_format" --dry-run --ferror-limit=1 2>&1 <<<"$files" |
    sed -n 's/^\(.*\):[0-9]*:[0-9]*: warning: .*/\1/p' | sort -u)
if [ -n "$unformatted" ]; then
    sed 's/$/: run clang-format -i on it/' <<<"$unformatted"
    exit 1
fi
echo "$(wc -l <<<"$files") files are formatted"
