#!/usr/bin/env bash
# What a container of Headwater's image does; installed there as headwater-entrypoint.
#   node|scheduler|tool ARGUMENT...  the program, in this process: it gets signals, and needs no init above it
#   health                           whether the program of this container lives: for HEALTHCHECK
#   drain [SECONDS]                  orders its node to drain, after so many seconds in which balancers may notice that the
#                                    container goes: for preStop
#   linger SECONDS                   waits
# Of the environment: ADMIN_URL (http://127.0.0.1:8081 of a node, http://127.0.0.1:8090 of a scheduler), TOKEN_FILE
# (/run/secrets/headwater/node-token; not needed where the admin port is on loopback). HEADWATER_* is configuration.
set -euo pipefail

die() { echo "headwater-entrypoint: $*" >&2; exit 2; }

# The program that this container is for; of its name the kernel keeps 15 letters.
program() {
    case $(</proc/1/comm) in
    headwater-node) echo node ;;
    headwater-sched*) echo scheduler ;;
    esac
}

admin_url() {
    case ${ADMIN_URL:-$(program)} in
    node) echo http://127.0.0.1:8081 ;;
    scheduler) echo http://127.0.0.1:8090 ;;
    http*) echo "$ADMIN_URL" ;;
    esac
}

# The token goes by a file descriptor: arguments are seen by all processes.
ask() { # curl-arguments...
    local file=${TOKEN_FILE:-/run/secrets/headwater/node-token} token=''
    if [ -r "$file" ]; then read -r token <"$file" || true; fi
    curl --silent --show-error --fail --noproxy '*' --max-time 3 \
        --config <(if [ -n "$token" ]; then printf 'header = "Authorization: Bearer %s"\n' "$token"; fi) "$@"
}

# A container that runs a tool is as healthy as the tool, which ends.
health() {
    local url
    url=$(admin_url)
    [ -n "$url" ] || exit 0
    ask --output /dev/null "$url/healthz"
}

# The node knows its own name, wherever that came from.
drain() { # seconds
    local url id
    linger "$1"
    url=$(admin_url)
    id=$(ask "$url/api/v1/node" | tr -d ' \n' | sed -n 's/.*"id":"\([A-Za-z0-9._-]*\)".*/\1/p')
    [ -n "$id" ] || die "$url/api/v1/node says no id"
    ask --output /dev/null --header 'Content-Type: application/json' --data '{}' "$url/api/v1/nodes/$id/drain"
}

linger() {
    [[ $1 =~ ^[0-9]{1,4}$ ]] || die "found \"$1\", expected seconds"
    sleep "$1"
}

case ${1-} in
node | scheduler | tool)
    name=headwater-$1
    shift
    exec "$name" "$@"
    ;;
health) health ;;
drain) drain "${2:-0}" ;;
linger) linger "${2:-0}" ;;
*) die "found \"${1-}\", expected node, scheduler, tool, health, drain or linger" ;;
esac
