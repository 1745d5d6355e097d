#!/bin/sh
# Starts one of the Redis servers or sentinels of a StatefulSet, or asks whether it lives.
#   redis.sh redis | sentinel | ping PORT
# ME is this pod's name, PEERS the names of all pods, the first of which is the master where no sentinel knows better.
set -eu

master=headwater
redis_port=${REDIS_PORT:-6379}
sentinel_port=${SENTINEL_PORT:-26379}
data=${DATA:-/data}
password=$(cat "${PASSWORD_FILE:-/run/secrets/headwater/redis-password}")
export REDISCLI_AUTH="$password" # not an argument, which everybody on the machine could read

# Who the sentinels say the master is: nothing while none of them answers.
ask_sentinels() {
    for peer in $PEERS; do
        said=$(REDISCLI_AUTH='' timeout 2 redis-cli -h "$peer" -p "$sentinel_port" --raw \
            sentinel get-master-addr-by-name "$master" 2>/dev/null | head -n 1) || continue
        case $said in '' | *[!A-Za-z0-9.:-]*) ;; *) echo "$said"; return ;; esac
    done
}

# A peer that says so of itself: for a sentinel that comes back when all the others are gone, too.
ask_servers() {
    for peer in $PEERS; do
        if timeout 2 redis-cli -h "$peer" -p "$redis_port" --raw role 2>/dev/null | head -n 1 | grep -qx master; then
            echo "$peer"
            return
        fi
    done
}

find_master() {
    found=$(ask_sentinels)
    [ -n "$found" ] || found=$(ask_servers)
    echo "${found:-${PEERS%% *}}"
}

# A new file each time: what a failover wrote is asked of the others, not remembered.
start_redis() {
    found=$(find_master)
    {
        echo "bind ${BIND:-* -::*}"
        echo "port $redis_port"
        echo "dir $data"
        echo "appendonly yes"
        echo "replica-announce-ip $ME"
        echo "requirepass $password"
        echo "masterauth $password"
        [ "$found" = "$ME" ] || echo "replicaof $found $redis_port"
    } >"$data/redis.conf"
    exec redis-server "$data/redis.conf"
}

start_sentinel() {
    found=$(find_master)
    {
        echo "bind ${BIND:-* -::*}"
        echo "protected-mode no" # the NetworkPolicy says who may ask
        echo "port $sentinel_port"
        echo "dir $data"
        echo "sentinel resolve-hostnames yes"
        echo "sentinel announce-hostnames yes"
        echo "sentinel announce-ip $ME"
        # Always the same: a pod that comes back is not one sentinel more, of whom a majority would have to hear.
        echo "sentinel myid $(printf %s "$ME" | sha1sum | cut -c 1-40)"
        echo "sentinel monitor $master $found $redis_port 2"
        echo "sentinel auth-pass $master $password"
        echo "sentinel down-after-milliseconds $master ${DOWN_AFTER_MS:-5000}"
        echo "sentinel failover-timeout $master ${FAILOVER_MS:-15000}"
        echo "sentinel parallel-syncs $master 1"
    } >"$data/sentinel.conf"
    # Its name is in the file, so it has to have an address: the first pod of all may take a while to get one.
    until timeout 2 redis-cli -h "$found" -p "$redis_port" ping >/dev/null 2>&1; do sleep 1; done
    exec redis-server "$data/sentinel.conf" --sentinel
}

umask 077
case ${1-} in
redis) start_redis ;;
sentinel) start_sentinel ;;
ping)
    [ "$2" = "$redis_port" ] || export REDISCLI_AUTH='' # sentinels have no password
    [ "$(timeout 4 redis-cli -h "${PING:-127.0.0.1}" -p "$2" ping)" = PONG ]
    ;;
*) echo "redis.sh: expected redis, sentinel or ping PORT" >&2; exit 2 ;;
esac
