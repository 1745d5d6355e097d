#!/usr/bin/env bash
# fuzz_targets.sh ROOT: each proto/<name> has a fuzz target, and each target a corpus and its "links:" line.
set -uo pipefail
cd "$1" || exit 1
shopt -s nullglob
status=0 n=0

finding() {
    echo "$1"
    status=1
}

for folder in proto/*/; do
    name=$(basename "$folder")
    targets=(tests/fuzz/fuzz_"$name"_*.c)
    sources=("$folder"*.c)
    [ ${#sources[@]} -eq 0 ] || [ ${#targets[@]} -gt 0 ] ||
        finding "proto/$name has no fuzz target tests/fuzz/fuzz_${name}_*.c"
done
for target in tests/fuzz/fuzz_*.c; do
    unit=$(basename "$target" .c)
    unit=${unit#fuzz_}
    corpus=(tests/fuzz/corpus/"$unit"/*)
    [ ${#corpus[@]} -gt 0 ] || finding "$target has no corpus in tests/fuzz/corpus/$unit/"
    grep -q 'links: [a-z]' "$target" || finding "$target does not say \"links: <folder>\""
    n=$((n + 1))
done
for corpus in tests/fuzz/corpus/*/; do
    [ -f "tests/fuzz/fuzz_$(basename "$corpus").c" ] || finding "$corpus belongs to no fuzz target"
done
[ $n -gt 0 ] || finding "no fuzz target found"
echo "$n fuzz targets looked at"
exit $status
