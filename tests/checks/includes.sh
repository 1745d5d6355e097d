#!/usr/bin/env bash
# includes.sh ROOT: node, scheduler -> proto -> common/media -> common/base; node, scheduler -> common/net.
# The longest folder that matches a file says what its quoted includes may begin with.
set -uo pipefail
cd "$1" || exit 1

find common proto node scheduler \( -name '*.c' -o -name '*.h' \) 2>/dev/null | sort |
    xargs -r grep -n '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' /dev/null | awk -F: '
BEGIN {
    allowed["common/base"] = "common/base/"
    allowed["common/console"] = "common/base/ common/console/ common/net/"
    allowed["common/media"] = "common/base/ common/media/"
    allowed["common/net"] = "common/base/ common/net/ proto/http/ proto/proxy/"
    allowed["proto"] = "common/base/ common/media/ proto/"
    allowed["node"] = "common/ proto/ node/"
    allowed["scheduler"] = "common/ proto/ scheduler/"
}
{
    split($0, quoted, "\"")
    rule = ""
    for (folder in allowed)
        if (index($1, folder "/") == 1 && length(folder) > length(rule))
            rule = folder
    n = split(allowed[rule], prefixes, " ")
    fine = 0
    for (i = 1; i <= n; i++)
        if (index(quoted[2], prefixes[i]) == 1)
            fine = 1
    n_seen++
    if (!fine) {
        printf "%s:%s: includes \"%s\"; %s may include %s\n", $1, $2, quoted[2], rule, allowed[rule]
        n_bad++
    }
}
END {
    printf "%d includes looked at, %d against the rule\n", n_seen, n_bad
    exit !(n_seen > 0 && n_bad == 0)
}'
