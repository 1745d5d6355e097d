#!/usr/bin/env bash
# A whole Headwater cluster on this machine: installs what is missing, builds a release, starts a
# scheduler, origins and edges on loopback, publishes a test pattern and prints the URLs. README.md in
# this folder is the manual. Needs bash and coreutils only, so that it runs on a fresh Debian.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
bin=$root/.build/release/bin
stop_grace_s=6 # SIGTERM, then SIGKILL
ready_s=20     # from start to msg=ready, and from publish to playable

n_origins=1 n_edges=2 store=memory demo=yes base_port='' build_only=no for_s='' json=no
names=() pids=()          # what we started, in order
node_ids=() node_roles=() # the nodes alone
tmp='' result=1

usage() {
    cat <<END
Usage: deploy/up.sh [flags]
  --origins N      origin nodes (1)
  --edges N        edge nodes (2)
  --store STORE    memory, or redis: a redis-server of its own in a temporary folder (memory)
  --no-demo        do not publish the test pattern live/demo, nor install ffmpeg for it
  --base-port P    scheduler P, node i (from 0) rtmp P+1+3i, http P+2+3i, admin P+3+3i, redis after
                   the last; without it scheduler 8090, rtmp 1935+10i, http 8080+100i, admin 8081+100i,
                   redis 6390
  --build-only     install and build, start nothing
  --for SECONDS    stop by itself after so long
  --json           when all is ready, one line of JSON on standard output; the rest on standard error
  --help           this text
Ctrl-C or SIGTERM stops everything that was started.
END
}

say() { echo "$*" >&3; }
die() { echo "up.sh: $*" >&2; exit 1; }

number() { # flag value lowest highest
    [[ $2 =~ ^[0-9]{1,6}$ ]] && [ $((10#$2)) -ge "$3" ] && [ $((10#$2)) -le "$4" ] ||
        die "$1: found \"$2\", allowed is a number from $3 to $4"
    echo $((10#$2))
}

parse_flags() {
    while [ $# -gt 0 ]; do
        case $1 in
        --origins | --edges | --store | --base-port | --for)
            [ $# -ge 2 ] || die "$1 needs a value" ;;
        esac
        case $1 in
        --origins) n_origins=$(number "$1" "$2" 1 10); shift ;;
        --edges) n_edges=$(number "$1" "$2" 0 10); shift ;;
        --base-port) base_port=$(number "$1" "$2" 1024 65400); shift ;;
        --for) for_s=$(number "$1" "$2" 1 999999); shift ;;
        --store)
            [[ $2 = memory || $2 = redis ]] || die "--store: found \"$2\", allowed are memory, redis"
            store=$2; shift ;;
        --no-demo) demo=no ;;
        --build-only) build_only=yes ;;
        --json) json=yes ;;
        --help | -h) usage; exit 0 ;;
        *) die "unknown flag \"$1\"; --help lists them" ;;
        esac
        shift
    done
}

# --- stopping -----------------------------------------------------------------------------------

is_alive() { kill -0 "$1" 2>/dev/null; }

any_alive() {
    local pid
    for pid in "${pids[@]}"; do
        if is_alive "$pid"; then return 0; fi
    done
    return 1
}

# Ends what we started, the last first, and only that.
stop_all() {
    local i deadline=$((SECONDS + stop_grace_s))
    [ ${#pids[@]} -gt 0 ] || return 0
    for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
        kill -TERM "${pids[i]}" 2>/dev/null || true
    done
    while any_alive && [ $SECONDS -lt $deadline ]; do sleep 0.05; done
    for i in "${pids[@]}"; do kill -KILL "$i" 2>/dev/null || true; done
    wait "${pids[@]}" 2>/dev/null || true
}

clean_up() {
    trap '' INT TERM
    stop_all
    if [ -n "$tmp" ]; then rm -rf "$tmp"; fi
    exit "$result"
}

# Ctrl-C: 0 once all was ready, else 130 as a shell would say.
on_signal() {
    [ "$result" -eq 0 ] || result=$1
    exit
}

# --- installing and building ----------------------------------------------------------------------

# In the background with wait, so that a signal is answered at once and not after the command.
run_step() {
    local pid status=0
    start_child "$@" >&3 </dev/null &
    pid=$!
    pids=("$pid")
    wait "$pid" || status=$?
    pids=()
    return "$status"
}

# A session of its own: Ctrl-C in the terminal reaches only this script, which then stops the rest in
# order; and the kernel ends the child should this script be killed.
start_child() { exec setpriv --pdeathsig TERM setsid "$@"; }

build() {
    local groups=(build)
    if [ $store = redis ]; then groups+=(redis); fi
    if [ $demo = yes ] && [ $build_only = no ]; then groups+=(demo); fi
    # In the foreground: sudo may ask for a password.
    "$here/install-packages.sh" "${groups[@]}" >&3 ||
        die "could not install what is missing (only the test pattern needs ffmpeg: --no-demo)"
    cd "$root"
    run_step cmake --preset release || die "cmake failed"
    run_step cmake --build --preset release --parallel "$(nproc)" || die "the build failed"
}

# --- ports ------------------------------------------------------------------------------------------

scheduler_port() { echo "${base_port:-8090}"; }
rtmp_port() { if [ -n "$base_port" ]; then echo $((base_port + 1 + 3 * $1)); else echo $((1935 + 10 * $1)); fi; }
http_port() { if [ -n "$base_port" ]; then echo $((base_port + 2 + 3 * $1)); else echo $((8080 + 100 * $1)); fi; }
admin_port() { echo $(($(http_port "$1") + 1)); }
redis_port() { if [ -n "$base_port" ]; then rtmp_port $((n_origins + n_edges)); else echo 6390; fi; }

check_port() { # port what
    if (exec 4<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then
        die "port $1 ($2) is in use; choose others with --base-port"
    fi
}

check_ports() {
    local i
    check_port "$(scheduler_port)" "scheduler"
    if [ $store = redis ]; then check_port "$(redis_port)" "redis"; fi
    for ((i = 0; i < n_origins + n_edges; i++)); do
        check_port "$(rtmp_port $i)" "rtmp of node $i"
        check_port "$(http_port $i)" "http of node $i"
        check_port "$(admin_port $i)" "admin of node $i"
    done
}

# --- starting ---------------------------------------------------------------------------------------

start() { # name command...
    local name=$1
    shift
    start_child "$@" >"$tmp/$name.log" 2>&1 </dev/null &
    names+=("$name")
    pids+=("$!")
}

fail_with_log() { # name what
    {
        echo "up.sh: $1 $2; the last lines of its log:"
        tail -n 15 "$tmp/$1.log"
    } >&2
    exit 1
}

check_children() {
    local i
    for i in "${!pids[@]}"; do
        is_alive "${pids[i]}" || fail_with_log "${names[i]}" "ended early"
    done
}

wait_for() { # name what command...: polls until command holds; a dead child or 20 s is the end
    local name=$1 what=$2 deadline=$((SECONDS + ready_s))
    shift 2
    until "$@"; do
        check_children
        [ $SECONDS -lt $deadline ] || fail_with_log "$name" "$what"
        sleep 0.05
    done
}

is_ready() { grep -qs ' msg=ready' "$tmp/$1.log"; }
is_redis_ready() { (exec 4<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
wait_ready() { wait_for "$1" "did not become ready in $ready_s s" is_ready "$1"; }

make_token() {
    (umask 077 && od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$tmp/token")
}

start_redis() {
    local port
    port=$(redis_port)
    mkdir "$tmp/redis"
    start redis redis-server --bind 127.0.0.1 --port "$port" --dir "$tmp/redis" --save '' --appendonly no
    wait_for redis "did not listen in $ready_s s" is_redis_ready "$port"
}

start_scheduler() {
    local sets=(--set "http.listen=127.0.0.1:$(scheduler_port)" --set "store.type=$store"
        --set "token_file=$tmp/token")
    if [ $store = redis ]; then
        start_redis
        sets+=(--set "store.redis.url=redis://127.0.0.1:$(redis_port)")
    fi
    start scheduler "$bin/headwater-scheduler" "${sets[@]}"
    wait_ready scheduler
}

start_node() { # index id role
    start "$2" "$bin/headwater-node" --set "cluster.node_id=$2" --set "cluster.role=$3" \
        --set "cluster.schedulers=http://127.0.0.1:$(scheduler_port)" \
        --set "cluster.token_file=$tmp/token" --set "rtmp.listen=127.0.0.1:$(rtmp_port "$1")" \
        --set "http.listen=127.0.0.1:$(http_port "$1")" \
        --set "admin.listen=127.0.0.1:$(admin_port "$1")" --set drain_timeout_s=2
    node_ids+=("$2")
    node_roles+=("$3")
}

start_cluster() {
    local i
    make_token
    start_scheduler
    for ((i = 0; i < n_origins; i++)); do start_node $i "origin-$((i + 1))" origin; done
    for ((i = 0; i < n_edges; i++)); do start_node $((n_origins + i)) "edge-$((i + 1))" edge; done
    for i in "${node_ids[@]}"; do wait_ready "$i"; done
}

# --- the test pattern ---------------------------------------------------------------------------------

start_demo() {
    start demo ffmpeg -hide_banner -nostdin -loglevel warning \
        -re -f lavfi -i "testsrc2=size=640x360:rate=25" -re -f lavfi -i "sine=frequency=440:sample_rate=44100" \
        -c:v libx264 -preset veryfast -tune zerolatency -g 25 -pix_fmt yuv420p -b:v 800k \
        -c:a aac -b:a 64k -f flv "rtmp://127.0.0.1:$(rtmp_port 0)/live/demo"
}

# Reads the head of the stream as a player would: 200, FLV, and bytes that only media can fill.
read_flv() { # port
    exec 4<>"/dev/tcp/127.0.0.1/$1"
    printf 'GET /live/demo.flv HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n' >&4
    head -c 16384 <&4
}
export -f read_flv

is_playable() { # port
    timeout "$ready_s" bash -c 'read_flv "$0"' "$1" >"$tmp/head.flv" 2>/dev/null || return 1
    head -c 12 "$tmp/head.flv" | grep -aq '^HTTP/1.1 200' && grep -aq '^FLV' "$tmp/head.flv"
}

# Where it is published and at every edge; another origin may send viewers to an edge instead.
wait_playable() {
    local i
    for i in "${!node_ids[@]}"; do
        [[ $i -eq 0 || ${node_roles[i]} = edge ]] || continue
        wait_for "${node_ids[i]}" "did not play live/demo in $ready_s s" is_playable "$(http_port "$i")"
    done
}

# --- telling ------------------------------------------------------------------------------------------

print_json() {
    local i comma=''
    printf '{"scheduler":{"http":"http://127.0.0.1:%d"},"nodes":[' "$(scheduler_port)"
    for i in "${!node_ids[@]}"; do
        printf '%s{"id":"%s","role":"%s","rtmp":"rtmp://127.0.0.1:%d","http":"http://127.0.0.1:%d",' \
            "$comma" "${node_ids[i]}" "${node_roles[i]}" "$(rtmp_port "$i")" "$(http_port "$i")"
        printf '"admin":"http://127.0.0.1:%d","pid":%d}' "$(admin_port "$i")" "$(pid_of "${node_ids[i]}")"
        comma=,
    done
    if [ $demo = yes ]; then printf '],"demo":"live/demo"}\n'; else printf '],"demo":null}\n'; fi
}

pid_of() { # name
    local i
    for i in "${!names[@]}"; do
        if [ "${names[i]}" = "$1" ]; then echo "${pids[i]}"; fi
    done
}

print_urls() {
    local i stream=live/NAME
    if [ $demo = yes ]; then stream=live/demo; fi
    say ""
    say "Headwater is ready. Logs: $tmp"
    say "publish  ffmpeg -re -i FILE -c copy -f flv rtmp://127.0.0.1:$(rtmp_port 0)/live/NAME"
    for i in "${!node_ids[@]}"; do
        say "play     $(printf %-10s "${node_ids[i]}") rtmp://127.0.0.1:$(rtmp_port "$i")/$stream" \
            " http://127.0.0.1:$(http_port "$i")/$stream.flv"
    done
    say "play     any edge   http://127.0.0.1:$(scheduler_port)/$stream.flv  (302)"
    say "console  http://127.0.0.1:$(scheduler_port)/"
    say "query    scheduler  http://127.0.0.1:$(scheduler_port)/api/v1/nodes  /api/v1/streams  /metrics"
    for i in "${!node_ids[@]}"; do
        say "query    $(printf %-10s "${node_ids[i]}") http://127.0.0.1:$(admin_port "$i")/api/v1/streams" \
            " /api/v1/sessions  /metrics"
    done
    say "Ctrl-C stops everything."
}

# Until Ctrl-C, SIGTERM, --for, or a child that ends by itself (which is a failure).
stay() {
    local timer='' ended='' i
    if [ -n "$for_s" ]; then
        start_child sleep "$for_s" </dev/null &
        timer=$!
        pids+=("$timer")
        names+=(timer)
    fi
    wait -n -p ended "${pids[@]}" || true
    [ -n "$timer" ] && [ "$ended" = "$timer" ] && exit
    result=1
    for i in "${!pids[@]}"; do
        if [ "${pids[i]}" = "$ended" ]; then fail_with_log "${names[i]}" "ended by itself"; fi
    done
}

parse_flags "$@"
if [ $json = yes ]; then exec 3>&2; else exec 3>&1; fi
trap clean_up EXIT
trap 'on_signal 130' INT
trap 'on_signal 143' TERM

if [ $build_only = no ]; then check_ports; fi
build
if [ $build_only = yes ]; then
    say "built: $bin"
    result=0
    exit
fi
tmp=$(mktemp -d "${TMPDIR:-/tmp}/headwater.XXXXXXXX")
check_ports
start_cluster
if [ $demo = yes ]; then
    start_demo
    wait_playable
fi
check_children
result=0 # all is ready: who reads so may send a signal at once
print_urls
if [ $json = yes ]; then print_json; fi
stay
