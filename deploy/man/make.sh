#!/usr/bin/env bash
# Writes the manual pages of the three programs out of what they say of themselves (--help, --help-config) and the texts
# below.  Usage: deploy/man/make.sh FOLDER-OF-PROGRAMS FOLDER-OF-PAGES
set -euo pipefail

programs=$1 pages=$2
version=$("$programs/headwater-node" --version | cut -d ' ' -f 2)

# Text as roff shows it: backslashes and dashes as they are, no line taken for a command.
plain() { sed -e 's/\\/\\e/g' -e 's/-/\\-/g' -e "s/^\([.']\)/\\\\\&\1/"; }

head_of() { # name section title
    printf '.TH %s %s "" "Headwater %s" "Headwater"\n.SH NAME\n%s \\- %s\n' "${1^^}" "$2" "$version" "${1//-/\\-}" "$(plain <<<"$3")"
}

verbatim() { printf '.nf\n'; plain; printf '.fi\n'; }

# The synopsis, the options as a list, and what stands behind them, out of a help text on standard input.
help_of() {
    awk '
        function flush() { if (term != "") { printf ".TP\n\\fB%s\\fR\n%s\n", term, text; term = "" } }
        NR == 1 { next }
        /^usage: / { sub(/^usage: /, ""); printf ".SH SYNOPSIS\n.B %s\n", $0; next }
        /^ +\\-/ {
            flush(); if (!options) { print ".SH OPTIONS"; options = 1 }
            sub(/^ +/, ""); at = match($0, /  +[^ ]/)
            if (!at) at = length($0) + 1
            term = substr($0, 1, at - 1); text = substr($0, at); sub(/^ +/, "", text); next }
        /^signals: / { flush(); sub(/^signals: /, ""); printf ".SH SIGNALS\n%s\n", $0; next }
        { next }
        END { flush() }
    ' < <(plain)
}

# Keys as a list: "key = default" and the lines below it.
keys_of() {
    plain | awk '
        /^[a-z][a-z0-9_.]* = / { printf ".TP\n\\fB%s\\fR\n", $0; keys = 1; next }
        keys && NF { sub(/^ +/, ""); print }
    '
}

daemon() { # program title what-it-is files
    {
        head_of "headwater-$1" 8 "$2"
        "$programs/headwater-$1" --help | help_of
        printf '.SH DESCRIPTION\n%s\n' "$(plain <<<"$3")"
        printf '.SH FILES\n.TP\n.I /etc/headwater/%s.json\nConfiguration of the service.\n%s\n' "$1" "$4"
        printf '.SH KEYS\nEach is a key of the file (\\-c; JSON with // comments, dots are nested objects), of \\-\\-set a.b=c, and of the\nenvironment as HEADWATER_A__B=c. Lists are separated by commas there. Later ones win: default, file, environment, \\-\\-set.\n'
        "$programs/headwater-$1" --help-config | keys_of
        printf '.SH SEE ALSO\n%s\n' "$5"
    } >"$pages/headwater-$1.8"
}

tool() {
    local command
    {
        head_of headwater-tool 1 "tools around a Headwater cluster"
        printf '.SH SYNOPSIS\n.B headwater\\-tool\n.I COMMAND\n[\n.I OPTION\n]...\n.SH DESCRIPTION\n'
        printf 'One command for each thing that operators do beside the daemons.\n'
        "$programs/headwater-tool" --help | sed -n 's/^  \([a-z][a-z-]*\)  .*/\1/p' | while read -r command; do
            printf '.SH COMMAND %s\n' "${command^^}"
            "$programs/headwater-tool" "$command" --help | verbatim
        done
        printf '.SH EXIT STATUS\n0: fine; 1: something went wrong, with the reason on standard error; 2: usage.\n'
        printf '.SH SEE ALSO\n.BR headwater\\-node (8),\n.BR headwater\\-scheduler (8)\n'
    } >"$pages/headwater-tool.1"
}

mkdir -p "$pages"
daemon node "media node of a Headwater live-streaming cluster" \
    "Takes publishers, keeps streams, and serves viewers and other nodes: RTMP, HTTP-FLV, MPEG-TS, MP4, HLS, each over TLS as well. Alone it is a complete server; with schedulers it is an origin or an edge of a cluster." \
    $'.TP\n.I /var/lib/headwater\nWhat operators told by API, and records.\n.TP\n.I /var/log/headwater/access.log\nA line for each session.' \
    $'.BR headwater\\-scheduler (8),\n.BR headwater\\-tool (1)'
daemon scheduler "scheduler of a Headwater live-streaming cluster" \
    "Knows which node owns each stream, which nodes carry it, and where the next viewer, relay or publisher goes. Any number of them share one Redis; nodes go on without them." \
    "" \
    $'.BR headwater\\-node (8),\n.BR headwater\\-tool (1)'
tool
