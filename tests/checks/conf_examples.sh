#!/usr/bin/env bash
# conf_examples.sh PROGRAM FILE...: the program accepts each file. Its own environment does not count.
set -uo pipefail
program=$1
shift
status=0
[ $# -gt 0 ] || { echo "no example for $(basename "$program")"; exit 1; }
while IFS='=' read -r variable _; do
    unset "$variable"
done < <(env | grep '^HEADWATER_')
for file in "$@"; do
    timeout 10 "$program" --check-config -c "$file" || { echo "$file was refused"; status=1; }
done
echo "$# examples checked"
exit $status
