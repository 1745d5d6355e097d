#!/usr/bin/env bash
# symbols.sh NM FORBIDDEN LIBRARY...: no object of these libraries uses a forbidden symbol.
set -uo pipefail
nm=$1 forbidden=$2
shift 2
[ $# -gt 0 ] || { echo "no library to look at"; exit 1; }

"$nm" -A -u "$@" | awk '
NR == FNR {
    if ($0 !~ /^#/) {
        kind = $1
        sub(":", "", kind)
        for (i = 2; i <= NF; i++)
            if ($i ~ /\*$/)
                prefixes[substr($i, 1, length($i) - 1)] = kind
            else
                names[$i] = kind
    }
    next
}
NF >= 2 {
    name = $NF
    sub("@.*", "", name)
    plain = name
    if (plain !~ /^_exit$/)
        sub("^(__isoc99_|__isoc23_|__)", "", plain)
    sub("_chk$", "", plain)
    kind = ""
    if (plain in names)
        kind = names[plain]
    else if (sub("64$", "", plain) && (plain in names))
        kind = names[plain]
    for (prefix in prefixes)
        if (index(name, prefix) == 1)
            kind = prefixes[prefix]
    n_seen++
    if (kind != "") {
        object = $1
        sub(".*/", "", object)
        sub(":$", "", object)
        printf "%s uses %s (%s)\n", object, name, kind
        n_bad++
    }
}
END {
    printf "%d uses looked at, %d forbidden\n", n_seen, n_bad
    exit !(n_seen > 0 && n_bad == 0)
}' "$forbidden" -
